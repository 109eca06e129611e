import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from doubles import (
    BAD,
    Echo,
    Miscounting,
    Slow,
    add_card,
    add_model,
    echoed,
    images,
    likely,
    worked_on,
)
from runtime.submitting import ECHO, FAILING, SLOW, ask, hold, start, turns

from service.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    InvalidManifest,
    ModelFailed,
    ModelNotFound,
    Overloaded,
    ServiceError,
    UntrustedWeights,
    WrongTask,
)
from service.nets.weights import save_weights
from service.runtime.calls import Call, Lane
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments


async def test_each_of_many_callers_gets_its_own_answer(engine: LocalEngine) -> None:
    answers = await asyncio.gather(*(ask(engine, ECHO, first) for first in range(1, 60)))
    np.testing.assert_allclose(np.concatenate(answers), echoed(*range(1, 60)), atol=1e-6)


async def test_a_submission_larger_than_a_batch_comes_back_whole_and_in_order(engine: LocalEngine) -> None:
    firsts = range(1, 200)
    np.testing.assert_allclose(await ask(engine, ECHO, *firsts), echoed(*firsts), atol=1e-6)
    np.testing.assert_allclose(await ask(engine, ECHO, *firsts, lane=Lane.BULK), echoed(*firsts), atol=1e-6)


async def test_what_waits_while_the_device_is_busy_shares_the_next_batch(engine: LocalEngine) -> None:
    held = await hold(engine)
    waiting = [start(engine, SLOW, first) for first in (1, 2, 3, 4, 5)]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, *waiting)
    assert Echo.forwarded == [[250], [1, 2, 3, 4, 5]]


async def test_an_answer_does_not_wait_for_the_batch_after_it(engine: LocalEngine) -> None:
    await engine.load("echo")
    await engine.load("slow")
    quick, slow = start(engine, ECHO, 1), start(engine, SLOW, 2)
    np.testing.assert_allclose(await quick, echoed(1), atol=1e-6)
    assert not slow.done()
    Slow.let_go.set()
    await slow


async def test_everybody_in_a_batch_is_told_how_long_it_has_waited(store: ModelStore) -> None:
    engine = Engine(store, Device("cpu", threads=1), instruments=Instruments())
    await engine.start()
    await engine.load("echo")
    left = asyncio.Semaphore(0)
    works = [Work(ECHO, [images(n)], 1, Lane.INTERACTIVE, None, "", lambda _: left.release()) for n in (1, 2)]
    works[0].arrived -= 1000.0
    for work in works:
        engine.enqueue(work)
    for _ in works:
        await left.acquire()
    assert worked_on() == [[1, 2]]
    assert works[0].waited_s is not None
    assert works[1].waited_s is not None
    assert works[0].waited_s >= works[1].waited_s + 999.0
    assert engine.rows_waiting() == 0
    await engine.stop()


async def test_calls_that_differ_share_no_batch(engine: LocalEngine) -> None:
    held = await hold(engine)
    others = [Call("slow", "explain", options=(("label", label),)) for label in (1, 2)]
    waiting = [start(engine, SLOW, 1), start(engine, others[0], 2), start(engine, others[1], 3)]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, *waiting)
    assert worked_on() == [[250], [1], [2], [2], [3], [3]]  # an explanation takes two passes


async def test_interactive_work_goes_before_bulk_work_that_came_earlier(engine: LocalEngine) -> None:
    held = await hold(engine)
    waiting = [
        start(engine, SLOW, 1, 2, 3, 4, 5, lane=Lane.BULK),
        start(engine, Call("echo", "classify"), 6, lane=Lane.BULK),
        start(engine, SLOW, 7),
    ]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, *waiting)
    assert worked_on()[:2] == [[250], [7]]
    assert sorted(worked_on()[2:]) == [[1, 2, 3, 4], [5], [6]]


async def test_bulk_work_does_not_starve_behind_interactive_work_that_never_ends(engine: LocalEngine) -> None:
    enough = asyncio.Event()

    async def never_ending() -> None:
        while not enough.is_set():
            await ask(engine, Call("echo", "classify"), 7)

    others = [asyncio.create_task(never_ending()) for _ in range(4)]
    await turns()
    np.testing.assert_allclose(await ask(engine, Call("echo", "classify"), 5, lane=Lane.BULK), echoed(5), atol=1e-6)
    enough.set()
    await asyncio.gather(*others)


@pytest.mark.parametrize("lane", Lane)
async def test_an_exact_answer_does_not_depend_on_what_else_runs(engine: LocalEngine, lane: Lane) -> None:
    features = Call("gossiping", "features")
    alone = await ask(engine, features, *range(1, 11), lane=lane)
    busy = [start(engine, Call("gossiping", "classify"), first) for first in range(20, 30)]
    others = [start(engine, features, first, lane=lane) for first in range(30, 40)]
    again = start(engine, features, *range(1, 11), lane=lane)
    await asyncio.gather(*busy, *others, again)
    assert again.result().tobytes() == alone.tobytes()


async def test_features_and_probabilities_come_together(engine: LocalEngine) -> None:
    features, probabilities = await engine.submit(Call("echo", "features"), [images(51, 102)])
    np.testing.assert_allclose(features[:, 0], [0.2, 0.4], atol=1e-6)
    np.testing.assert_allclose(probabilities, likely(51, 102), atol=1e-6)


async def test_a_failing_batch_does_not_stop_the_next(engine: LocalEngine) -> None:
    with pytest.raises(ModelFailed) as failure:
        await ask(engine, FAILING, BAD)
    assert failure.value.detail == "failing raised ArithmeticError on this input."
    np.testing.assert_allclose(await ask(engine, FAILING, 3), echoed(3), atol=1e-6)


async def test_what_raised_is_told_with_the_id_of_the_request_that_it_failed_on(
    engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelFailed):
        await engine.submit(FAILING, [images(BAD)], request_id="build-4711")
    [told] = [record for record in caplog.records if record.exc_info]
    assert vars(told)["fields"] == {"request": "build-4711"}


async def test_a_bad_item_fails_alone(engine: LocalEngine) -> None:
    held = await hold(engine)
    waiting = [start(engine, FAILING, first) for first in (1, BAD, 3)]
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, *waiting, return_exceptions=True)
    assert sorted(worked_on()[1]) == [1, 3, BAD]
    assert isinstance(waiting[1].exception(), ModelFailed)
    np.testing.assert_allclose(waiting[0].result(), echoed(1), atol=1e-6)
    np.testing.assert_allclose(waiting[2].result(), echoed(3), atol=1e-6)


async def test_what_a_failed_submission_still_had_waiting_is_not_worked_on(engine: LocalEngine) -> None:
    with pytest.raises(ModelFailed):
        await ask(engine, FAILING, *range(1, 8), BAD, *range(10, 30))
    await ask(engine, FAILING, 200)
    assert worked_on() == [[*range(1, 8), BAD], [200]]


@pytest.mark.parametrize("fewer", [True, False])
async def test_another_number_of_answers_than_of_questions_is_an_error(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, *, fewer: bool
) -> None:
    monkeypatch.setattr(Miscounting, "fewer", fewer)
    call = Call("miscounting", "classify")
    with pytest.raises(ModelFailed):
        await ask(engine, call, BAD, 2)
    np.testing.assert_allclose(await ask(engine, call, 3, 4), echoed(3, 4), atol=1e-6)


async def test_work_whose_deadline_has_passed_is_answered_without_a_forward_pass(engine: LocalEngine) -> None:
    held = await hold(engine)
    late = asyncio.create_task(engine.submit(SLOW, [images(1)], deadline=time.monotonic() - 1))
    punctual = asyncio.create_task(engine.submit(SLOW, [images(2)], deadline=time.monotonic() + 1000))
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, late, punctual, return_exceptions=True)
    assert isinstance(late.exception(), DeadlineExceeded)
    assert worked_on() == [[250], [2]]


async def test_a_deadline_that_passes_is_answered_at_once_however_long_the_work_takes(engine: LocalEngine) -> None:
    held = await hold(engine)
    soon = time.monotonic() + 0.05
    waiting = asyncio.create_task(engine.submit(SLOW, [images(1)], deadline=soon))
    with pytest.raises(DeadlineExceeded, match="before there was an answer"):
        await waiting
    assert not held.done()
    Slow.let_go.set()
    await held
    assert worked_on() == [[250]]


async def test_a_full_queue_refuses_before_anything_is_queued(engine: LocalEngine) -> None:
    held = await hold(engine)
    waiting = start(engine, SLOW, *range(1, 65))
    await turns()
    with pytest.raises(Overloaded, match="64 rows already wait for slow") as refused:
        await ask(engine, SLOW, 100)
    assert refused.value.retry_after_s is not None
    bulk = start(engine, SLOW, 101, lane=Lane.BULK)
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, waiting, bulk)
    assert [100] not in worked_on()


async def test_what_is_cancelled_is_taken_out_of_the_queue(engine: LocalEngine) -> None:
    held = await hold(engine)
    full = start(engine, SLOW, *range(1, 65))
    await turns()
    full.cancel()
    room = start(engine, SLOW, 70)
    await asyncio.gather(full, return_exceptions=True)
    Slow.let_go.set()
    await asyncio.gather(held, room)
    assert worked_on() == [[250], [70]]


async def test_a_caller_that_leaves_during_the_forward_pass_hurts_nobody(engine: LocalEngine) -> None:
    held = await hold(engine)
    held.cancel()
    waiting = start(engine, SLOW, 1)
    await turns()
    Slow.let_go.set()
    np.testing.assert_allclose(await waiting, echoed(1), atol=1e-6)
    assert held.cancelled()


async def test_a_model_loads_on_first_use_and_answers_from_then_on(engine: LocalEngine) -> None:
    assert engine.models() == {}
    first = start(engine, ECHO, 1)
    await turns()
    assert engine.models()["echo"].state == "loading"
    await first
    assert engine.models()["echo"].state == "ready"


async def test_loading_warms_a_model_before_it_returns_and_unloading_lets_it_go(engine: LocalEngine) -> None:
    await engine.load("echo")
    await engine.load("echo")
    assert engine.models()["echo"].state == "ready"
    await engine.unload("echo")
    await engine.unload("echo")
    assert engine.models() == {}
    np.testing.assert_allclose(await ask(engine, ECHO, 9), echoed(9), atol=1e-6)


async def test_unloading_waits_for_what_is_queued(engine: LocalEngine) -> None:
    held = await hold(engine)
    waiting = start(engine, SLOW, 1)
    await turns()
    unloading = asyncio.create_task(engine.unload("slow"))
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, waiting, unloading)
    assert "slow" not in engine.models()


async def test_unloading_does_not_wait_for_other_models(engine: LocalEngine) -> None:
    await engine.load("echo")
    held = await hold(engine)
    waiting = start(engine, SLOW, *range(1, 65))
    await turns()
    unloading = asyncio.create_task(engine.unload("echo"))
    unloading.add_done_callback(lambda _: left.append(len(worked_on())))
    left: list[int] = []
    await turns()
    Slow.let_go.set()
    await asyncio.gather(held, waiting, unloading)
    assert left
    assert left[0] < len(worked_on())


async def test_loading_again_takes_up_new_weights(engine: LocalEngine, models_dir: Path) -> None:
    folder = models_dir / "echo"
    add_card(folder)
    await engine.load("echo")
    before = engine.models()["echo"].version
    net = Echo()
    net.scale.data.fill_(1.0)
    save_weights(net, folder / "weights.safetensors")
    add_card(folder)
    await engine.load("echo")
    after = engine.models()["echo"].version
    assert before != after
    [[[top, *_]]] = await engine.submit(Call("echo", "classify", version=after), [images(255)])
    assert top == pytest.approx(1.0)
    with pytest.raises(ModelNotFound, match=f"echo is here in version {after}, not {before}"):
        await engine.submit(Call("echo", "classify", version=before), [images(255)])


async def test_weights_that_are_not_the_cards_answer_nothing(engine: LocalEngine, models_dir: Path) -> None:
    add_card(models_dir / "echo", sha256="0" * 64)
    waiting = [start(engine, ECHO, first) for first in (1, 2)]
    loading = asyncio.create_task(engine.load("echo"))
    outcomes = await asyncio.gather(*waiting, loading, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UntrustedWeights] * 3
    assert all("echo/weights.safetensors: it has sha256" in str(outcome) for outcome in outcomes)
    assert all(str(models_dir) not in str(outcome) for outcome in outcomes)
    assert engine.models() == {}
    assert worked_on() == []


async def test_a_manifest_that_cannot_be_read_fails_its_own_model_only(engine: LocalEngine, models_dir: Path) -> None:
    add_model(models_dir, "broken", Echo(), "net = ")
    with pytest.raises(InvalidManifest, match=r"broken/model\.toml: Invalid value"):
        await engine.submit(Call("broken", "classify"), [images(1)])
    with pytest.raises(InvalidManifest, match=r"broken/model\.toml: Invalid value"):
        await engine.load("broken")
    await ask(engine, ECHO, 1)


async def test_wrong_questions_are_refused(engine: LocalEngine) -> None:
    with pytest.raises(ModelNotFound, match="'nobody'"):
        await engine.submit(Call("nobody", "classify"), [images(1)])
    with pytest.raises(ModelNotFound):
        await engine.load("nobody")
    with pytest.raises(WrongTask, match="echo does classify, not generate"):
        await engine.submit(Call("echo", "generate"), [np.zeros((1, 4), np.float32)])
    with pytest.raises(ServiceError, match="'dance' is not a verb"):
        await engine.submit(Call("echo", "dance"), [images(1)])
    for arrays in ([], [images()], [images(1)[:, :1]], [images(1).astype(np.float32)], [images(1), images(1)]):
        with pytest.raises(ServiceError, match="echo expects"):
            await engine.submit(ECHO, arrays)


async def test_an_engine_that_stops_finishes_what_it_has(store: ModelStore) -> None:
    async with LocalEngine(store, threads=1) as engine:
        held = await hold(engine)
        waiting = [start(engine, SLOW, 1), start(engine, ECHO, 2), start(engine, ECHO, 3, lane=Lane.BULK)]
        await turns()
        asyncio.get_running_loop().call_soon(Slow.let_go.set)  # it stops by then
    answers = await asyncio.gather(held, *waiting)
    np.testing.assert_allclose(np.concatenate(answers), echoed(250, 1, 2, 3), atol=1e-6)
    with pytest.raises(EngineUnavailable):
        await ask(engine, ECHO, 1)


async def test_a_generator_answers_with_pixels(engine: LocalEngine) -> None:
    z = np.array([[-9.0, 0.0, 0.5, 9.0]], np.float32)
    [pixels] = await engine.submit(Call("doodle", "generate"), [z])
    assert pixels.dtype == np.uint8
    assert pixels[0, :, :, 0].tolist() == [[0, 128], [186, 255]]
