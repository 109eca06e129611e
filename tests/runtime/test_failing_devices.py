"""What is left when a device fails: smaller batches where memory is short, a new process where the device is lost."""

import asyncio
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from doubles import BAD, CLASSIFIER, Echo, Failing, Slow, add_model, echoed
from runtime.submitting import ECHO, SLOW, ask, hold, start, turns
from torch import nn
from waiting import PATIENCE_S

from service.errors import ModelFailed, ServiceError
from service.nets.registry import NETS
from service.runtime.calls import Call, Lane
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine
from service.runtime.work import Work
from service.store import Model, ModelStore
from service.telemetry.instruments import Instruments

HUNGRY = Call("hungry", "classify")


class Hungry(Echo):
    """Finds no memory for more than so many rows, warm-up and padding included."""

    most: ClassVar[int] = 1000
    sizes: ClassVar[list[int]] = []

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Raise as an allocator does, or echo."""
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().features(x)


class Losing(Device):
    """Is lost while a model loads, as an accelerator is whose context died."""

    def place(self, model: Model) -> nn.Module:
        """Raise."""
        raise ArithmeticError(f"an illegal memory access was encountered at {model.id}")

    def is_lost(self, error: BaseException) -> bool:
        """Whether it was that."""
        return isinstance(error, ArithmeticError)


@pytest.fixture
async def hungry(engine: LocalEngine, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEngine:
    """An engine that also holds `hungry`, in batches of at most 8 and blocks of 4."""
    monkeypatch.setitem(NETS, "hungry", Hungry)
    monkeypatch.setattr(Hungry, "most", 1000)
    Hungry.sizes.clear()
    add_model(models_dir, "hungry", Hungry(), CLASSIFIER.format(net="hungry"))
    return engine


async def test_what_is_too_much_for_the_memory_is_halved_and_stays_so(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hungry.load("hungry")
    monkeypatch.setattr(Hungry, "most", 2)
    Hungry.sizes.clear()
    np.testing.assert_allclose(await ask(hungry, HUNGRY, *range(1, 8)), echoed(*range(1, 8)), atol=1e-6)
    assert Hungry.sizes == [7, 4, 2, 2, 3, 2, 1]
    Hungry.sizes.clear()
    np.testing.assert_allclose(await ask(hungry, HUNGRY, *range(1, 8)), echoed(*range(1, 8)), atol=1e-6)
    assert Hungry.sizes == [2, 2, 2, 1]


async def test_several_callers_get_their_own_rows_however_they_are_cut(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hungry.load("hungry")
    held = await hold(hungry)
    waiting = [start(hungry, HUNGRY, *firsts) for firsts in ((1, 2, 3), (4,), (5, 6, 7, 8))]
    monkeypatch.setattr(Hungry, "most", 2)
    await turns()
    Slow.let_go.set()
    await held
    answers = await asyncio.gather(*waiting)
    np.testing.assert_allclose(np.concatenate(answers), echoed(*range(1, 9)), atol=1e-6)


async def test_a_row_for_which_there_is_no_memory_fails_and_the_next_does_not(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hungry.load("hungry")
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(ModelFailed, match="hungry ran out of memory on 1 rows at once"):
        await ask(hungry, HUNGRY, 1)
    monkeypatch.setattr(Hungry, "most", 1)
    np.testing.assert_allclose(await ask(hungry, HUNGRY, 2, 3), echoed(2, 3), atol=1e-6)


async def test_what_has_to_be_exact_is_never_cut(hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await hungry.load("hungry")
    monkeypatch.setattr(Hungry, "most", 2)
    with pytest.raises(ModelFailed, match="ran out of memory on 4 rows at once"):
        await ask(hungry, HUNGRY, 1, lane=Lane.BULK)
    monkeypatch.setattr(Hungry, "most", 4)
    Hungry.sizes.clear()
    await ask(hungry, HUNGRY, 1, lane=Lane.BULK)
    assert Hungry.sizes == [4]


async def test_a_model_is_warm_in_the_sizes_for_which_there_is_memory(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hungry, "most", 5)
    await hungry.load("hungry")
    Hungry.sizes.clear()
    np.testing.assert_allclose(await ask(hungry, HUNGRY, *range(1, 8)), echoed(*range(1, 8)), atol=1e-6)
    assert Hungry.sizes == [4, 3]


async def test_a_model_for_which_there_is_no_memory_at_all_says_so(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(ServiceError, match="cpu has no memory left for hungry"):
        await hungry.load("hungry")
    assert hungry.models() == {}


@pytest.mark.parametrize(
    ("error", "is_out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_memory_that_is_short_is_told_from_what_is_wrong(error: Exception, *, is_out: bool) -> None:
    device = Device("cpu", threads=1)
    assert device.is_out_of_memory(error) is is_out
    device.relieve()
    device.close()


@pytest.fixture
def wide(models_dir: Path) -> Call:
    """`failing` in batches of at most 64."""
    manifest = CLASSIFIER.format(net="failing").replace("max_batch = 8", "max_batch = 64")
    add_model(models_dir, "wide", Failing(), manifest)
    return Call("wide", "classify")


@pytest.mark.parametrize("place", [0, 21, 63])
async def test_a_bad_item_of_64_is_found_by_halves_no_larger_than_they_need_be(
    engine: LocalEngine, wide: Call, place: int
) -> None:
    await engine.load("wide")
    firsts = [*range(1, 65)]
    firsts[place] = BAD
    held = await hold(engine)
    waiting = [start(engine, wide, first) for first in firsts]
    await turns()
    Slow.let_go.set()
    await held
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [at for at, outcome in enumerate(outcomes) if isinstance(outcome, ModelFailed)] == [place]
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    np.testing.assert_allclose(np.concatenate(answered), echoed(*(f for f in firsts if f != BAD)), atol=1e-6)
    assert sorted(map(len, Echo.forwarded[1:]), reverse=True) == [64, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1]


async def test_a_device_that_is_lost_while_a_model_loads_ends_the_engine(store: ModelStore) -> None:
    engine = Engine(store, Losing("cpu", threads=1), instruments=Instruments())
    serving = await engine.start()
    answers: list[object] = []
    work = Work(ECHO, [np.zeros((1, 2, 2, 1), np.uint8)], 1, Lane.INTERACTIVE, None, "", answers.append)
    engine.enqueue(work)
    with pytest.raises(ArithmeticError, match="illegal memory access"):
        await asyncio.wait_for(serving, PATIENCE_S)
    assert answers == []  # its caller sees the connection go, and tries once more
    await engine.stop()


async def test_rows_wait_until_their_batch_is_done(store: ModelStore) -> None:
    engine = Engine(store, Device("cpu", threads=1), instruments=Instruments())
    await engine.start()
    await engine.load("slow")
    done = asyncio.Event()
    assert engine.rows_waiting() == 0
    for first in (1, 2):
        pixels = np.full((3, 2, 2, 1), first, np.uint8)
        engine.enqueue(Work(SLOW, [pixels], 3, Lane.INTERACTIVE, None, "", lambda _: done.set()))
    assert engine.rows_waiting() == 6
    Slow.let_go.set()
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    await engine.stop()
    assert engine.rows_waiting() == 0


async def test_long_work_for_which_there_is_no_memory_takes_nothing_from_short_work(
    hungry: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hungry.load("hungry")
    occlusion = Call("hungry", "explain", options=(("method", "occlusion"),))
    monkeypatch.setattr(Hungry, "most", 0)
    with pytest.raises(ModelFailed, match="ran out of memory"):
        await ask(hungry, occlusion, 1)
    monkeypatch.setattr(Hungry, "most", 1000)
    Hungry.sizes.clear()
    await ask(hungry, HUNGRY, *range(1, 9))
    assert Hungry.sizes == [8]
