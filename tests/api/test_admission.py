"""What the gate counts, how long a caller is given, and what an upload may take: each told from its neighbours."""

import asyncio
import time
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from api.asking import PROBLEM, Caller, assert_problem, connect, in_pieces
from api.evaluating import asking, state_over
from doubles import FakeEngine, Unanswering, echoed, images
from evaluation.packing import digits, npz

from service.api.evaluations.jobs import WAIT_DEFAULT_S, WAIT_LIMIT_S, wait_of
from service.api.gate import Application
from service.errors import DatabaseUnavailable, Overloaded
from service.evaluation.pipeline import Bench
from service.evaluation.queue.jobs import Stage
from service.imaging import encode_png
from service.runtime.calls import Array

MakeApp = Callable[..., Application]
PICTURE = encode_png(images(1)[0])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    sides = (npz(tmp_path / f"{seed}.npz", {"images": digits(20, seed=seed, size=2)}) for seed in (1, 2))
    return {name: side.read_bytes() for name, side in zip(("generated", "reference"), sides, strict=True)}


@pytest.mark.parametrize(
    ("outcome", "status"), [([echoed(1)], 200), (Overloaded("full"), 429), (RuntimeError("broken"), 500)]
)
async def test_however_a_request_ends_there_is_room_for_the_next(
    make_app: MakeApp, outcome: list[Array] | Exception, status: int
) -> None:
    app = make_app(FakeEngine(outcome), queue_limit=1)
    async with connect(app) as client:
        for path in ("/classify", "/generate", "/nowhere", "/classify"):
            reply = await client.post(path, content=PICTURE)
            if path == "/classify":
                assert reply.status_code == status
            assert "are open here" not in reply.text
            assert reply.status_code == 200 or reply.headers["content-type"] == PROBLEM
    assert (app.gate.open, app.gate.working) == (0, 0)


async def test_a_question_that_is_being_answered_takes_no_room_from_work(make_app: MakeApp) -> None:
    app = make_app(FakeEngine([echoed(1)]), queue_limit=1)
    asked, answer = asyncio.Event(), asyncio.Event()

    @app.api_route("/slow", methods=["GET", "HEAD"])
    async def slow() -> None:
        asked.set()
        await answer.wait()

    async with connect(app) as client:
        for method in ("GET", "HEAD"):
            asked.clear()
            answer.clear()
            question = asyncio.create_task(client.request(method, "/slow"))
            await asked.wait()
            assert (app.gate.open, app.gate.working) == (1, 0)
            assert (await client.post("/classify", content=PICTURE)).status_code == 200
            answer.set()
            assert (await question).status_code == 200


async def test_a_caller_that_hangs_up_makes_room_for_the_next(make_app: MakeApp) -> None:
    engine = Unanswering()
    app = make_app(engine, queue_limit=1)
    for _ in range(2):
        engine.asked.clear()
        caller = Caller([PICTURE])
        request = asyncio.create_task(caller.ask(app, "POST", "/classify"))
        await engine.asked.wait()
        caller.gone.set()
        await request
        assert caller.sent == []
    assert (app.gate.open, app.gate.working) == (0, 0)


async def test_a_deadline_is_so_many_milliseconds_from_now(make_app: MakeApp) -> None:
    engine = FakeEngine([echoed(1)])
    before = time.monotonic()
    async with connect(make_app(engine)) as client:
        await client.post("/classify", content=PICTURE, headers={"x-deadline-ms": "60000"})
    [(_, _, deadline, _)] = engine.calls
    assert deadline is not None
    assert before + 60 <= deadline <= time.monotonic() + 60


async def test_a_caller_that_may_wait_long_is_let_go_as_soon_as_the_service_shuts_down(
    bench: Bench, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_over(bench)
    async with asking(state) as (client, app):
        look = state.jobs.stages

        def stages(job_ids: Collection[str]) -> dict[str, Stage]:
            if app.gate.draining:
                raise DatabaseUnavailable("It was asked again after the service had begun to shut down.")
            app.gate.draining = True
            return look(job_ids)

        monkeypatch.setattr(state.jobs, "stages", stages)
        reply = await client.post("/evaluate", files=files, headers={"prefer": f"wait={WAIT_LIMIT_S:.0f}"})
    assert reply.status_code == 202, reply.text


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", WAIT_DEFAULT_S),
        ("respond-async", WAIT_DEFAULT_S),
        ("await=5", WAIT_DEFAULT_S),
        ("wait=0", 0),
        ("Wait=5", 5),
        ("respond-async, wait=5", 5),
        ("handling=lenient;wait=7", 7),
        ("wait=600", 600),
        ("wait=601", WAIT_LIMIT_S),
        ("wait=99999999999", WAIT_LIMIT_S),
    ],
)
def test_a_caller_waits_as_long_as_it_prefers_and_never_longer_than_anybody_may(prefer: str, seconds: float) -> None:
    assert wait_of(prefer) == seconds


async def test_an_upload_that_says_it_is_too_much_for_the_disks_share_is_refused_unread(bench: Bench) -> None:
    taken: list[int] = []
    async with asking(state_over(bench, uploads_disk_bytes=1000)) as (client, _):
        headers = {"content-type": "multipart/form-data; boundary=b", "content-length": "5000"}
        reply = await client.post("/evaluate", content=in_pieces(bytes(5000), 100, taken), headers=headers)
    assert_problem(reply, 429, "1,000 bytes of disk")
    assert taken == []


async def test_an_upload_that_turns_out_too_much_for_the_disks_share_is_not_accepted(
    bench: Bench, files: dict[str, bytes]
) -> None:
    state = state_over(bench, uploads_disk_bytes=1000)
    async with asking(state) as (client, _):
        said = client.build_request("POST", "/evaluate", files={**files, "generated": bytes(5000)})
        content, kind = await said.aread(), said.headers["content-type"]
        reply = await client.post("/evaluate", content=in_pieces(content, 100, []), headers={"content-type": kind})
    assert_problem(reply, 429, "1,000 bytes of disk")
    assert state.jobs.ids() == set()
    assert list((state.settings.state / "uploads").iterdir()) == []
