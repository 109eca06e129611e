import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from api.access.conftest import Bearing, MakeKey
from api.asking import assert_problem
from doubles import FakeEngine

from service.api.access.limits import Limits
from service.api.gate import Application
from service.errors import LimitReached
from service.evaluation.queue.keys import Key

MakeApp = Callable[..., Application]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: str = "ci", **limits: float) -> Key:
    return Key(name, "", frozenset(), 0.0, **limits)  # type: ignore[arg-type]


def let_in(limits: Limits, asked: Key, times: int) -> int:
    """How many of so many requests get in."""
    count = 0
    for _ in range(times):
        try:
            limits.enter(asked)
        except LimitReached:
            continue
        count += 1
    return count


@pytest.mark.parametrize(("rate", "at_once"), [(5.0, 5), (1.0, 1), (0.25, 1), (100.0, 100)])
def test_a_key_has_so_many_requests_a_second_for_all_fronts_together(tmp_path: Path, rate: float, at_once: int) -> None:
    clock = Clock()
    fronts = [Limits(tmp_path, clock=clock) for _ in range(3)]
    assert sum(let_in(front, key(rate=rate), 50) for front in fronts) == at_once
    total = at_once
    for _ in range(200):
        clock.now += 0.1
        total += sum(let_in(front, key(rate=rate), 50) for front in fronts)
    assert total == pytest.approx(at_once + rate * 20, abs=1)


@pytest.mark.parametrize(("rate", "wait"), [(10.0, 1), (0.1, 10), (0.01, 100)])
def test_who_comes_too_early_is_told_when_to_come_again(rate: float, wait: int) -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    let_in(limits, key(rate=rate), 20)
    with pytest.raises(LimitReached, match=f"ci may send {rate:g} requests a second") as refused:
        limits.enter(key(rate=rate))
    assert refused.value.retry_after_s == wait
    clock.now += wait
    assert limits.enter(key(rate=rate)) is None


def test_a_key_has_so_many_requests_under_way() -> None:
    limits = Limits()
    asked = key(concurrency=2)
    first, second = limits.enter(asked), limits.enter(asked)
    assert first is not None
    assert second is not None
    with pytest.raises(LimitReached, match="ci may have 2 requests under way"):
        limits.enter(asked)
    first()
    third = limits.enter(asked)
    assert third is not None
    assert let_in(limits, key("other", concurrency=2), 5) == 2


FRONT = """
import sys
from pathlib import Path
from service.api.access.limits import Limits
from service.evaluation.queue.keys import Key

leave = Limits(Path(sys.argv[1])).enter(Key("ci", "", frozenset(), 0.0, concurrency=2))
print("inside", flush=True)
sys.stdin.read()
"""


def test_a_front_that_dies_gives_its_slots_back(tmp_path: Path) -> None:
    limits, asked = Limits(tmp_path), key(concurrency=2)
    program = [sys.executable, "-c", FRONT, str(tmp_path)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as front:
        assert front.stdout is not None
        assert front.stdout.readline() == b"inside\n"
        assert let_in(limits, asked, 5) == 1
        front.kill()
    assert let_in(limits, asked, 5) == 1


def test_a_request_that_comes_too_early_takes_no_slot() -> None:
    limits = Limits(clock=Clock())
    assert let_in(limits, key(rate=1.0), 2) == 1
    assert let_in(limits, key(rate=1.0, concurrency=1), 1) == 0
    assert let_in(limits, key(concurrency=1), 2) == 1


def test_a_new_key_does_not_wait_for_what_the_old_one_of_its_name_has_used() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    assert let_in(limits, key(rate=0.001), 2) == 1
    assert let_in(limits, key(rate=10.0), 20) == 10


def test_a_key_without_limits_opens_no_file(tmp_path: Path) -> None:
    assert let_in(Limits(tmp_path), key(), 100) == 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("both_ways")
async def test_the_next_is_429_also_on_the_hot_path_and_there_is_room_again_after_each(
    make_app: MakeApp, make_key: MakeKey, bearing: Bearing
) -> None:
    app = make_app(FakeEngine())
    narrow, slow = make_key("narrow", ["infer"], concurrency=1), make_key("slow", ["infer"], rate=0.001)
    async with bearing(app, narrow) as client:
        for path in ("/classify", "/models", "/generate", "/nowhere") * 2:
            assert (await client.post(path)).status_code != 429
    async with bearing(app, slow) as client:
        assert (await client.post("/classify")).status_code != 429
        for method, path in (("POST", "/classify"), ("GET", "/models"), ("POST", "/generate")):
            refused = await client.request(method, path)
            assert_problem(refused, 429, "slow may send 0.001 requests a second")
            assert refused.json()["title"] == "The limit of this key is reached"
            assert int(refused.headers["retry-after"]) > 900
        assert (await client.get("/health/live")).status_code == 200
