"""A cluster's engines behind the interface of all engines, over replicas that answer, refuse and die."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from doubles import echoed, images
from remote.deployments import Deployment, Died, Full

from service.errors import EngineUnavailable, ModelNotFound, Overloaded
from service.remote import clients
from service.remote.clients import RemoteEngines
from service.remote.engines import RemoteEngine
from service.remote.hub import Hub
from service.runtime.calls import Call
from service.runtime.link import ConnectionLost
from service.settings import Settings

LABELS = Call("echo", "classify")


@pytest.fixture
def hub() -> Deployment:
    return Deployment([Hub({"echo"})])


@pytest.fixture
async def replicas(service_settings: Settings, hub: Deployment) -> AsyncIterator[list[RemoteEngine]]:
    """Two engines of doubles."""
    settings = service_settings.model_copy(update={"form": "plain", "threads": 1})
    started = [RemoteEngine(settings, "cpu", hub, name) for name in ("one", "two")]
    await asyncio.gather(*(engine.start() for engine in started))
    yield started
    await asyncio.gather(*(engine.stop() for engine in started))


@pytest.fixture
def deployment(replicas: list[RemoteEngine]) -> Deployment:
    return Deployment(list(replicas))


@pytest.fixture
async def engines(deployment: Deployment, hub: Deployment) -> AsyncIterator[RemoteEngines]:
    remote = RemoteEngines(deployment, hub, "front", gone=(Died,), full=(Full,))
    await remote.start()
    yield remote
    await remote.stop()


async def test_arrays_come_back_as_from_an_engine_of_this_machine(engines: RemoteEngines) -> None:
    [logits, *_] = await engines.submit(LABELS, [images(1, 2)])
    np.testing.assert_allclose(logits, echoed(1, 2), rtol=1e-6)


async def test_what_an_engine_meets_is_raised_here_as_its_own_kind(engines: RemoteEngines) -> None:
    with pytest.raises(ModelNotFound, match="nowhere"):
        await engines.submit(Call("nowhere", "classify"), [images(1)])


async def test_what_a_dying_engine_held_is_tried_once_more(engines: RemoteEngines, deployment: Deployment) -> None:
    deployment.deaths = [Died()]
    assert await engines.submit(LABELS, [images(7)])
    deployment.deaths = [Died(), Died()]
    with pytest.raises(ConnectionLost):
        await engines.submit(LABELS, [images(7)])


async def test_where_no_engine_takes_more_it_is_an_overload(engines: RemoteEngines, deployment: Deployment) -> None:
    deployment.deaths = [Full()]
    with pytest.raises(Overloaded):
        await engines.submit(LABELS, [images(7)])


async def test_a_deadline_crosses_as_the_time_that_is_left(engines: RemoteEngines, deployment: Deployment) -> None:
    asked: list[float] = []

    class Asked:
        async def submit(self, *words: object) -> list[object]:
            asked.append(words[3])  # type: ignore[arg-type]
            return []

    deployment.replicas = [Asked()]
    await engines.submit(LABELS, [images(1)], deadline=time.monotonic() + 100)
    await engines.submit(LABELS, [images(1)])
    assert 0 < asked[0] <= 100
    assert asked[1] is None


async def test_who_hangs_up_cancels_the_work_at_the_other_end(engines: RemoteEngines, deployment: Deployment) -> None:
    begun = asyncio.Event()

    class Endless:
        async def submit(self, *_: object) -> None:
            begun.set()
            await asyncio.Event().wait()

    deployment.replicas = [Endless()]
    task = asyncio.create_task(engines.submit(LABELS, [images(1)]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert deployment.responses[-1].cancelled


async def test_loading_and_unloading_reach_every_engine(
    engines: RemoteEngines, replicas: list[RemoteEngine], hub: Deployment
) -> None:
    await engines.load("doodle")
    await engines.load("gossiping")
    assert engines.models()["gossiping"].state == "ready"
    assert all("gossiping" in replica.models() for replica in replicas)
    assert "gossiping" in hub.replicas[0].wanted
    await engines.unload("gossiping")
    assert "gossiping" not in engines.models()
    assert not any("gossiping" in replica.models() for replica in replicas)


async def test_what_one_engine_cannot_load_is_told_and_not_wanted(engines: RemoteEngines, hub: Deployment) -> None:
    with pytest.raises(ModelNotFound, match="nowhere"):
        await engines.load("nowhere")
    assert "nowhere" not in hub.replicas[0].wanted


async def test_an_engine_that_dies_keeps_nobody_from_loading(engines: RemoteEngines, deployment: Deployment) -> None:
    deployment.replicas.append(Died())
    await engines.load("gossiping")
    deployment.replicas[-1] = ArithmeticError("something else")
    with pytest.raises(ArithmeticError):
        await engines.load("gossiping")


async def test_an_engine_that_comes_later_holds_what_is_wanted(
    engines: RemoteEngines, service_settings: Settings, hub: Deployment
) -> None:
    await engines.load("gossiping")
    late = RemoteEngine(service_settings.model_copy(update={"form": "plain", "threads": 1}), "cpu", hub, "late")
    await late.start()
    assert late.models()["gossiping"].state == "ready"
    assert late.rows_waiting() == 0
    late.check()
    await late.stop()


async def test_where_no_engine_has_answered_it_is_unavailable_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "WAIT_FOR_ENGINE_S", 0.0)
    remote = RemoteEngines(Deployment([]), Deployment([Hub(set())]), "front", gone=(Died,), full=(Full,))
    await remote.start()
    with pytest.raises(EngineUnavailable):
        await remote.submit(LABELS, [images(1)])
    with pytest.raises(EngineUnavailable):
        await remote.load("echo")
    assert remote.models() == {}
    await remote.stop()


async def test_what_cannot_be_loaded_is_tried_once(service_settings: Settings, hub: Deployment) -> None:
    hub.replicas[0].want("nowhere")
    engine = RemoteEngine(service_settings.model_copy(update={"form": "plain", "threads": 1}), "cpu", hub, "one")
    await engine.start()
    assert engine._failed == {"nowhere"}
    await engine._member.speak()
    assert engine._missing == set()
    hub.replicas[0].unwant("nowhere")
    await engine._member.speak()
    assert engine._failed == set()
    await engine.stop()
