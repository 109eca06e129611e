"""Several batches under way on a card: order, hanging up, deadlines, failures, memory and loss, without any card."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from doubles import BAD, CLASSIFIER, Echo, Slow, add_model, echoed, images, worked_on
from runtime.submitting import ECHO, FAILING, SLOW, ask, hold, start, turns
from runtime.test_failing_devices import HUNGRY, Hungry
from torch import nn
from waiting import PATIENCE_S, eventually

from service.errors import DeadlineExceeded, ModelFailed, ServiceError
from service.nets.registry import NETS
from service.runtime.calls import EVICTED, Array, Call, Lane
from service.runtime.cards.pipeline import IN_FLIGHT
from service.runtime.cards.simulated import Costs, Hardware, SimulatedDevice, SimulatedLoss
from service.runtime.cards.streams import Stage
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.queues import Batch
from service.runtime.work import Work
from service.store import Model, ModelStore
from service.telemetry.instruments import Instruments


@pytest.fixture
def hardware() -> Hardware:
    return Hardware()


@pytest.fixture
async def card(store: ModelStore, hardware: Hardware) -> AsyncIterator[LocalEngine]:
    """An engine of doubles on a simulated card, with some of them loaded."""
    async with LocalEngine(store, device=SimulatedDevice(hardware=hardware)) as engine:
        for name in ("echo", "slow", "failing"):
            await engine.load(name)
        hardware.timeline.spans.clear()
        Echo.forwarded.clear()
        yield engine
        Slow.let_go.set()


def rows_of(hardware: Hardware, stage: Stage) -> list[int]:
    return [span.piece.rows for span in hardware.timeline.of(stage)]


async def arrived(hardware: Hardware, count: int) -> None:
    """Wait until so many batches lie on the card."""
    await eventually(lambda: len(hardware.timeline.of(Stage.IN)) >= count)


async def fill(card: LocalEngine, hardware: Hardware) -> "list[asyncio.Task[Array]]":
    """Take all places with batches of one image: 250, which is computed until it is let go, then 1, 2, …"""
    under_way = [await hold(card)]
    for first in range(1, IN_FLIGHT):
        under_way.append(start(card, SLOW, first))
        await arrived(hardware, first + 1)
    return under_way


async def test_the_next_batches_come_while_one_is_computed(card: LocalEngine, hardware: Hardware) -> None:
    under_way = await fill(card, hardware)
    assert hardware.timeline.of(Stage.COMPUTE) == []
    Slow.let_go.set()
    await asyncio.gather(*under_way)
    assert [len(hardware.timeline.of(stage)) for stage in Stage] == [IN_FLIGHT] * 3


async def test_what_waits_while_all_places_are_taken_shares_the_next_batch(
    card: LocalEngine, hardware: Hardware
) -> None:
    under_way = await fill(card, hardware)
    waiting = [start(card, SLOW, first) for first in (11, 12, 13)]
    await turns()
    assert len(hardware.timeline.of(Stage.IN)) == IN_FLIGHT
    Slow.let_go.set()
    await asyncio.gather(*under_way, *waiting)
    assert worked_on() == [[250], [1], [2], [11, 12, 13]]
    assert rows_of(hardware, Stage.COMPUTE) == [1, 1, 1, 4], "the last one is padded to a size that is warm"


async def test_every_stage_works_in_the_order_in_which_batches_came(card: LocalEngine, hardware: Hardware) -> None:
    for first in range(1, 30):
        await ask(card, ECHO, first)
    firsts = range(1, 200)
    np.testing.assert_allclose(await ask(card, ECHO, *firsts), echoed(*firsts), atol=1e-6)
    for stage in Stage:
        numbers = [span.piece.number for span in hardware.timeline.of(stage)]
        assert numbers == sorted(numbers)


async def test_each_of_many_callers_gets_its_own_answer(card: LocalEngine) -> None:
    lanes = [Lane.INTERACTIVE, Lane.BULK]
    asked = [start(card, ECHO, *range(at, at + 1 + at % 11), lane=lanes[at % 2]) for at in range(1, 60)]
    for at, answer in zip(range(1, 60), await asyncio.gather(*asked), strict=True):
        np.testing.assert_allclose(answer, echoed(*range(at, at + 1 + at % 11)), atol=1e-6)


async def test_a_card_answers_as_the_processor_does(card: LocalEngine, engine: LocalEngine) -> None:
    for verb, lane in (("classify", Lane.INTERACTIVE), ("features", Lane.BULK), ("explain", Lane.INTERACTIVE)):
        call = Call("echo", verb, options=(("method", "saliency"),) if verb == "explain" else ())
        one, other = [await asked.submit(call, [images(3)], lane=lane) for asked in (card, engine)]
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


async def test_a_place_is_kept_for_what_is_short(card: LocalEngine, hardware: Hardware) -> None:
    long = [start(card, SLOW, first, lane=Lane.BULK) for first in range(1, 6)]
    await arrived(hardware, IN_FLIGHT - 1)
    await turns()
    assert len(hardware.timeline.of(Stage.IN)) == IN_FLIGHT - 1
    short = start(card, ECHO, 9)
    await arrived(hardware, IN_FLIGHT)
    Slow.let_go.set()
    await asyncio.gather(short, *long)
    assert worked_on().index([9]) < IN_FLIGHT


async def test_who_hangs_up_gets_nothing_and_takes_nothing_from_the_others(
    card: LocalEngine, hardware: Hardware
) -> None:
    under_way = await fill(card, hardware)
    waiting = [start(card, SLOW, first) for first in (11, 12)]
    await turns()
    for gone in (under_way[1], waiting[0]):
        gone.cancel()
    await turns()
    Slow.let_go.set()
    found = await asyncio.gather(*under_way, *waiting, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in found] == [False, True, False, True, False]
    assert [12] in worked_on()
    assert not any(11 in batch for batch in worked_on())


async def test_a_deadline_ends_the_wait_for_a_batch_that_is_under_way(card: LocalEngine, hardware: Hardware) -> None:
    held = await hold(card)
    late = asyncio.get_running_loop().time() + 0.01
    with pytest.raises(DeadlineExceeded):
        await card.submit(SLOW, [images(1)], deadline=late)
    assert hardware.timeline.of(Stage.COMPUTE) == []
    Slow.let_go.set()
    await held


async def test_a_bad_item_fails_alone_and_those_behind_it_are_answered(card: LocalEngine, hardware: Hardware) -> None:
    under_way = await fill(card, hardware)
    mixed = [start(card, FAILING, first) for first in (1, 2, BAD, 4, 5, 6, 7)]
    behind = [start(card, ECHO, first) for first in (8, 9)]
    await turns()
    Slow.let_go.set()
    outcomes = await asyncio.gather(*mixed, return_exceptions=True)
    assert [isinstance(outcome, ModelFailed) for outcome in outcomes] == [
        False,
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    np.testing.assert_allclose(np.concatenate(answered), echoed(1, 2, 4, 5, 6, 7), atol=1e-6)
    np.testing.assert_allclose(np.concatenate(await asyncio.gather(*behind)), echoed(8, 9), atol=1e-6)
    await asyncio.gather(*under_way)
    halves = [size for size in rows_of(hardware, Stage.COMPUTE) if size > 1]
    assert sorted(halves) == [2, 2, 4], "what fails has no span: 8 rows, then 4, then 2, then the bad one"


async def test_a_place_of_a_batch_that_failed_is_used_again(card: LocalEngine) -> None:
    for _ in range(3 * IN_FLIGHT):
        with pytest.raises(ModelFailed):
            await ask(card, FAILING, BAD)
    np.testing.assert_allclose(await ask(card, FAILING, 1), echoed(1), atol=1e-6)


async def test_a_batch_that_is_too_much_is_cut_and_the_next_are_smaller(
    card: LocalEngine, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETS, "hungry", Hungry)
    add_model(models_dir, "hungry", Hungry(), CLASSIFIER.format(net="hungry"))
    await card.load("hungry")
    monkeypatch.setattr(Hungry, "most", 2)
    for _ in range(2):
        Hungry.sizes.clear()
        np.testing.assert_allclose(await ask(card, HUNGRY, *range(1, 8)), echoed(*range(1, 8)), atol=1e-6)
    assert max(Hungry.sizes) == 2


def small(hardware: Hardware, models: int) -> None:
    """Leave memory for so many models."""
    hardware.memory_bytes = models * max(hardware.held.values())


async def test_the_model_that_was_longest_not_asked_makes_room_and_comes_back(
    card: LocalEngine, hardware: Hardware
) -> None:
    for call in (FAILING, ECHO):
        await ask(card, call, 1)
    small(hardware, 3)
    await card.load("miscounting")
    states = {name: held.state for name, held in card.models().items()}
    assert states == {"echo": "ready", "failing": "ready", "slow": EVICTED, "miscounting": "ready"}
    Slow.let_go.set()
    np.testing.assert_allclose(await ask(card, SLOW, 5), echoed(5), atol=1e-6)
    states = {name: held.state for name, held in card.models().items()}
    assert states == {"echo": "ready", "failing": EVICTED, "slow": "ready", "miscounting": "ready"}
    assert len(hardware.held) == 3


async def test_what_the_service_is_to_hold_is_not_driven_out_by_what_is_asked_in_turn(
    card: LocalEngine, hardware: Hardware
) -> None:
    small(hardware, 4)
    for name in ("miscounting", "gossiping", "crashing", "miscounting", "gossiping"):
        await ask(card, Call(name, "classify"), 1)
    states = {name: held.state for name, held in card.models().items()}
    assert states == {
        **dict.fromkeys(("echo", "slow", "failing", "gossiping"), "ready"),
        **dict.fromkeys(("miscounting", "crashing"), EVICTED),
    }


async def test_a_model_that_is_at_work_makes_no_room(card: LocalEngine, hardware: Hardware) -> None:
    for name in ("echo", "failing"):
        await card.unload(name)
    held = await hold(card)
    small(hardware, 1)
    with pytest.raises(ServiceError, match="simulated:0 has no memory left for echo"):
        await card.load("echo")
    Slow.let_go.set()
    np.testing.assert_allclose(await held, echoed(250), atol=1e-6)
    assert card.models().keys() == {"slow"}


async def test_a_lost_card_ends_its_engine_before_anybody_is_told_of_a_failure(store: ModelStore) -> None:
    hardware = Hardware()
    engine = Engine(store, SimulatedDevice(hardware=hardware), instruments=Instruments())
    serving = await engine.start()
    await engine.load("slow")
    answers: list[list[Array] | ServiceError] = []
    for first in range(1, 8):
        engine.enqueue(Work(SLOW, [images(first)], 1, Lane.INTERACTIVE, None, "", answers.append))
    await eventually(Slow.entered.is_set)
    hardware.lost.set()
    Slow.let_go.set()
    with pytest.raises(SimulatedLoss, match="illegal memory access"):
        await asyncio.wait_for(serving, PATIENCE_S)
    await engine.stop()
    assert answers == []


async def test_a_stage_takes_at_least_what_it_costs(store: ModelStore) -> None:
    costs = {Stage.COMPUTE: Costs(batch_s=0.01, row_s=0.001)}
    hardware = Hardware(costs)
    async with LocalEngine(store, device=SimulatedDevice(hardware=hardware)) as engine:
        await engine.load("echo")
        await ask(engine, ECHO, 1, 2, 3)
    for span in hardware.timeline.of(Stage.COMPUTE):
        assert span.ended - span.began >= 0.01 + 0.001 * span.piece.rows


class Punctual(SimulatedDevice):
    """A card that takes what it costs, and no longer where this machine is busy."""

    def __init__(self, cost: Costs, hardware: Hardware) -> None:
        super().__init__(hardware=hardware)
        self._cost = cost

    def time(self, net: nn.Module, model: Model, batch: Batch, threads: int | None) -> float:
        """The seconds of a batch."""
        super().time(net, model, batch, threads)
        return self._cost.batch_s + self._cost.row_s * batch.size


@pytest.mark.parametrize(
    ("cost", "most"),
    [(Costs(batch_s=0.02), 64), (Costs(row_s=0.005), 8)],
    ids=["the same for any batch", "the same for each row"],
)
async def test_batches_grow_beyond_the_manifest_where_a_card_gains_by_it(
    store: ModelStore, cost: Costs, most: int
) -> None:
    hardware = Hardware()
    device = Punctual(cost, hardware)
    device.most_rows = 64
    async with LocalEngine(store, device=device) as engine:
        await engine.load("echo")
        hardware.timeline.spans.clear()
        await ask(engine, ECHO, *range(1, 129))
    assert max(rows_of(hardware, Stage.COMPUTE)) == most
