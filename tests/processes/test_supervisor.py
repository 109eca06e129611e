import asyncio
import io
import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import Service, is_alive
from waiting import PATIENCE_S, until

from service.errors import ConfigurationError, EngineUnavailable, PackageMissing, ServiceError
from service.imaging import encode_png
from service.processes.supervisor import WantedModels, bind
from service.runtime.calls import Call, Lane
from service.runtime.link import ConnectionLost
from service.runtime.pool import EnginePool
from service.runtime.work import Work
from service.settings import Settings

PICTURE = encode_png(np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8))
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service with two fronts, for the tests after which it still stands."""
    with Service(tmp_path_factory.mktemp("service"), FRONTS=2) as running:
        running.wait_until_ready()
        yield running


def classify(url: str) -> httpx.Response:
    """One question over a connection of its own."""
    return httpx.post(f"{url}/classify", content=PICTURE, headers=PNG, timeout=PATIENCE_S)


async def ask_until(url: str, over: threading.Event, callers: int, statuses: Counter[int]) -> None:
    """Questions from several callers, each over a connection that it keeps; the status of every answer is counted."""

    async def ask(client: httpx.AsyncClient) -> None:
        while not over.is_set():
            reply = await client.post("/classify", content=PICTURE, headers=PNG)
            statuses[reply.status_code] += 1
            assert reply.status_code == 200 or reply.headers["content-type"] == "application/problem+json"

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        await asyncio.gather(*(ask(client) for _ in range(callers)))


def sum_of(text: str, sample: str) -> float:
    return sum(
        float(value) for value in re.findall(rf"^{re.escape(sample)}(?:[{{,][^}}]*}})? (\S+)$", text, re.MULTILINE)
    )


@pytest.mark.slow
def test_a_running_supervisor_holds_nothing_of_its_childrens_work(service: Service) -> None:
    mapped = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "/pydantic_core/" in mapped
    assert set(re.findall(r"/(torch|scipy|PIL|pyspng|httptools)/", mapped)) == set()


@pytest.mark.slow
def test_evaluators_step_back_for_fronts_and_engines(service: Service) -> None:
    def nice(role: str) -> set[int]:
        return {os.getpriority(os.PRIO_PROCESS, pid) for pid in service.children(role)}

    assert nice("front") == nice("engine")
    until(lambda: min(nice("evaluator")) > max(nice("front")))  # it may still be on its way when others serve


@pytest.mark.slow
def test_metrics_of_one_front_count_for_all_processes(service: Service) -> None:
    def told() -> str:
        return httpx.get(f"{service.url}/metrics", timeout=PATIENCE_S).text

    answered = 'chapterhouse_requests_total{code="200",endpoint="/classify"}'
    rows = 'chapterhouse_batch_rows_sum{model="lenet5-none"}'
    before = told()

    def came(counted: str) -> bool:
        return sum_of(told(), counted) - sum_of(before, counted) == 30

    assert {classify(service.url).status_code for _ in range(30)} == {200}
    for counted in (answered, rows):  # a tenth of a second after it was sent, at most
        until(partial(came, counted))
    for text in (told() for _ in range(4)):
        assert sum_of(text, answered) - sum_of(before, answered) == 30
        assert sum_of(text, rows) - sum_of(before, rows) == 30
        for role, count in (("front", 2), ("engine", 1), ("evaluator", 1)):
            assert sum_of(text, f'chapterhouse_processes_up{{role="{role}"}}') == count
        labels = f'device="cpu",model="lenet5-none",version="{service.version("lenet5-none")}"'
        assert f"chapterhouse_model_loaded{{{labels}}} 1.0" in text


@pytest.mark.slow
def test_an_engine_killed_under_load_leaves_no_request_without_an_answer(service: Service) -> None:
    over, statuses = threading.Event(), Counter[int]()
    load = threading.Thread(target=lambda: asyncio.run(ask_until(service.url, over, 16, statuses)), daemon=True)
    load.start()
    try:
        for _ in range(2):
            answered = statuses[200]
            until(lambda: statuses[200] > answered)  # noqa: B023 - it is over before the next round
            engine = service.kill("engine")
            service.wait_until_replaced("engine", engine)
            service.wait_until_ready()
    finally:
        over.set()
        load.join(PATIENCE_S)
    assert not load.is_alive()
    assert {200} <= set(statuses) <= {200, 503}, statuses
    assert classify(service.url).status_code == 200
    assert "Traceback" not in service.log


@pytest.mark.slow
def test_a_choice_of_models_outlives_the_engine(service: Service) -> None:
    def loaded(name: str) -> bool:
        reply = service.get(f"/models/{name}")
        return reply is not None and bool(reply.json()["loaded"])

    assert (
        httpx.post(f"{service.url}/models/lenet5-other/load", headers=service.bearing, timeout=PATIENCE_S).status_code
        == 204
    )
    until(lambda: loaded("lenet5-other"))
    service.wait_until_replaced("engine", service.kill("engine"))
    until(lambda: loaded("lenet5-other"))
    assert (
        httpx.post(f"{service.url}/models/lenet5-other/unload", headers=service.bearing, timeout=PATIENCE_S).status_code
        == 204
    )
    until(lambda: not loaded("lenet5-other"))
    service.wait_until_ready()


@pytest.mark.slow
def test_a_front_that_is_killed_takes_only_its_own_connections_along(service: Service) -> None:
    front = service.kill("front")
    assert {classify(service.url).status_code for _ in range(10)} == {200}
    service.wait_until_replaced("front", front, count=2)
    assert {classify(service.url).status_code for _ in range(10)} == {200}


@pytest.mark.slow
def test_an_evaluator_that_is_killed_comes_back(service: Service) -> None:
    service.wait_until_replaced("evaluator", service.kill("evaluator"))
    assert classify(service.url).status_code == 200


@pytest.mark.slow
def test_a_second_service_on_the_port_says_so_and_ends(service: Service, tmp_path: Path) -> None:
    port = int(service.url.rpartition(":")[2])
    with Service(tmp_path, PORT=port) as second:
        assert second.exit_status() == 2
        assert f"chapterhouse: Cannot listen on 127.0.0.1:{port}: Address already in use" in second.log
        assert "Is another service running there?" in second.log
        assert "Traceback" not in second.log
    assert classify(service.url).status_code == 200


@pytest.mark.slow
def test_a_body_over_the_limit_is_refused_while_it_is_still_being_sent(service: Service) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(2**20)

    for content in (bytes(40 * 2**20), body()):
        refused = httpx.post(f"{service.url}/classify", content=content, headers=PNG, timeout=PATIENCE_S)
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"
    assert classify(service.url).status_code == 200


@pytest.mark.slow
def test_sigterm_finishes_what_is_open_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Service(tmp_path, FRONTS=2, DRAIN_TIMEOUT_S=PATIENCE_S) as service:
        service.wait_until_ready()
        family = [pid for role in ("front", "engine", "evaluator") for pid in service.children(role)]
        assert len(family) == 4
        asked = {"count": 5_000, "seed": 1, "format": "npz"}
        with httpx.stream("POST", f"{service.url}/generate", json=asked, timeout=PATIENCE_S) as reply:
            pieces = reply.iter_raw()
            first = next(pieces)
            service.process.send_signal(signal.SIGTERM)
            whole = b"".join([first, *pieces])
        with np.load(io.BytesIO(whole)) as arrays:
            assert arrays["images"].shape == (5_000, 28, 28, 1)
        assert service.exit_status() == 0
        until(lambda: not any(map(is_alive, family)))
        assert "Traceback" not in service.log


@pytest.mark.slow
def test_while_it_drains_new_work_is_refused_and_the_service_is_not_ready(tmp_path: Path) -> None:
    with Service(tmp_path, DRAIN_DELAY_S=3600) as service:
        service.wait_until_ready()
        service.process.send_signal(signal.SIGTERM)
        until(lambda: not service.is_ready())
        refused = classify(service.url)
        assert refused.status_code == 503
        assert refused.headers["connection"] == "close"
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx.get(f"{service.url}/health/live", timeout=PATIENCE_S).status_code == 200
        family = [pid for role in ("front", "engine", "evaluator") for pid in service.children(role)]
        service.process.kill()
        until(lambda: not any(map(is_alive, family)))  # nothing outlives its supervisor, however that ends


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"PORT": "http"}, "CHAPTERHOUSE_PORT: Input should be a valid integer"),
        ({"FRONTS": "0"}, "CHAPTERHOUSE_FRONTS: Input should be greater than or equal to 1"),
        ({"LOG_LEVEL": "loud"}, "CHAPTERHOUSE_LOG_LEVEL: Input should be"),
        ({"DEFAULT_CLASSIFIER": "nobody"}, "CHAPTERHOUSE_DEFAULT_CLASSIFIER: There is no model called 'nobody'"),
        ({"PRELOAD": "lenet5-none,nobody"}, "CHAPTERHOUSE_PRELOAD: There is no model called 'nobody'"),
        ({"DEFAULT_CLASSIFIER": "dcgan-none"}, "dcgan-none does generate, not classify"),
        ({"DEFAULT_FORECASTER": "nobody"}, "CHAPTERHOUSE_DEFAULT_FORECASTER: There is no model called 'nobody'"),
        ({"DEFAULT_FORECASTER": "lenet5-none"}, "lenet5-none does classify, not forecast"),
        ({"STATE_DIR": "/dev/null/state"}, "CHAPTERHOUSE_STATE_DIR: cannot write into /dev/null/state"),
        ({"DATABASE_URL": "mysql://me@here/x"}, "CHAPTERHOUSE_DATABASE_URL: 'mysql' is not known"),
        ({"DATABASE_URL": "sqlite:////dev/null/x.db"}, "CHAPTERHOUSE_DATABASE_URL says where it is."),
        ({"HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1:0"),
        ({"DEVICES": "abacus"}, "There is no device 'abacus'"),
    ],
)
@pytest.mark.slow
def test_a_setting_that_cannot_be_ends_it_with_a_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    with Service(tmp_path, **settings) as service:
        assert service.exit_status() == 2
        assert sentence in service.log
        assert "chapterhouse: " in service.log
        assert "Traceback" not in service.log


async def test_the_supervisor_itself_takes_no_work() -> None:
    models = WantedModels({"echo"}, EnginePool([]))
    answers: list[object] = []
    work = Work(Call("echo", "classify"), [], 0, Lane.INTERACTIVE, None, "", answers.append)
    models.enqueue(work)
    models.cancel(work)
    assert [str(answer) for answer in answers] == ["The supervisor runs no models."]
    assert models.models() == {}


@pytest.mark.parametrize(
    ("failure", "wanted"),
    [
        pytest.param(EngineUnavailable, {"echo"}, id="no engine is there, so the next one loads it"),
        pytest.param(ConnectionLost, set(), id="an engine died of it, and the next one would"),
        pytest.param(PackageMissing, set(), id="it cannot be loaded"),
    ],
)
async def test_what_is_wanted_after_a_load_that_failed(failure: type[ServiceError], wanted: set[str]) -> None:
    class Failing(EnginePool):
        async def load(self, model_id: str) -> None:
            raise failure(model_id)

    models = WantedModels(set(), Failing([]))
    with pytest.raises(failure):
        await models.load("echo")
    assert models.wanted == wanted


def test_a_taken_port_is_a_mistake_of_the_configuration() -> None:
    refusal = r"Cannot listen on 127\.0\.0\.1:\d+: Address already in use"
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match=refusal):
        bind(Settings(port=taken.getsockname()[1]))


def test_a_service_listens_on_either_family() -> None:
    with bind(Settings(port=0)) as free, bind(Settings(port=0, host="::1")) as other:
        assert free.getsockname()[1] > 0
        assert other.family == socket.AF_INET6
