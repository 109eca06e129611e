"""How a model comes onto a device: tried in slices beside other work, in sizes that take no long time, and measured."""

import asyncio
import threading
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from doubles import CLASSIFIER, Echo, Slow, add_card, add_model, images, worked_on
from runtime.submitting import ECHO, ask, start, turns
from torch import Tensor, nn
from waiting import PATIENCE_S, eventually

from service.errors import UntrustedWeights
from service.nets.registry import NETS
from service.runtime.calls import Call, Lane
from service.runtime.devices import Device
from service.runtime.duties import Duty
from service.runtime.engine import Engine
from service.runtime.in_process import LocalEngine, OwnEngine
from service.runtime.loading import fitting
from service.runtime.queues import Batch
from service.runtime.rows import zeros
from service.runtime.work import Work
from service.store import Model, ModelStore
from service.telemetry.instruments import Instruments


class BusyToTheEnd(Device):
    """A device that is busy until it is closed, so that nothing has its turn any more."""

    def close(self) -> None:
        """Close it while it is busy."""
        self.thread.shutdown(wait=False, cancel_futures=True)
        Slow.let_go.set()
        super().close()


class Layer(nn.Identity):
    """Stops once before the images pass, until it is let go, and notes what was worked on by then."""

    entered: ClassVar[threading.Event] = threading.Event()
    let_go: ClassVar[threading.Event] = threading.Event()
    seen: ClassVar[list[int]] = []

    def forward(self, x: Tensor) -> Tensor:
        """The images."""
        self.seen.append(len(worked_on()))
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S), "nobody let it go"
        return x


class Layered(Echo):
    """Two layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(Layer(), Layer())

    def features(self, x: Tensor) -> Tensor:
        """The pixels, through all layers."""
        return super().features(self.layers(x))


class Dear(Echo):
    """Takes a while for every image, and notes how many came at once and on how many threads."""

    ROW_S = 0.15
    met: ClassVar[list[tuple[int, int]]] = []

    def features(self, x: Tensor) -> Tensor:
        """The pixels, after a while."""
        self.met.append((len(x), torch.get_num_threads()))
        threading.Event().wait(self.ROW_S * len(x))
        return super().features(x)


class Counted(Echo):
    """Notes how many images came at once."""

    met: ClassVar[list[int]] = []

    def features(self, x: Tensor) -> Tensor:
        """The pixels."""
        self.met.append(len(x))
        return super().features(x)


class Timed(Device):
    """A processor that says what a batch takes: so long for any, and so long for each of its rows."""

    def __init__(self, batch_s: float, row_s: float) -> None:
        super().__init__("cpu", threads=1, most_rows=64)
        self._batch_s, self._row_s = batch_s, row_s

    def time(self, net: nn.Module, model: Model, batch: Batch, threads: int | None) -> float:
        """What it says, once the batch is computed."""
        super().time(net, model, batch, threads)
        return self._batch_s + self._row_s * batch.size


@pytest.fixture
def added(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that also holds `layered`, `dear` and `counted`."""
    for event in (Layer.entered, Layer.let_go):
        event.clear()
    Layer.seen.clear()
    Dear.met.clear()
    Counted.met.clear()
    for net in (Layered, Dear, Counted):
        name = net.__name__.lower()
        monkeypatch.setitem(NETS, name, net)
        add_model(models_dir, name, net(), CLASSIFIER.format(net=name))
    return models_dir


async def test_other_work_goes_first_between_the_layers_of_a_net_that_is_being_loaded(
    engine: LocalEngine, added: Path
) -> None:
    assert added.is_dir()
    await engine.load("echo")
    loading = asyncio.create_task(engine.load("layered"))
    await eventually(Layer.entered.is_set)
    short = start(engine, ECHO, 1)
    await turns()
    Layer.let_go.set()
    await asyncio.gather(short, loading)
    assert Layer.seen[:2] == [0, 1]


async def test_an_engine_for_who_asks_once_tries_nothing_and_answers_all_the_same(added: Path) -> None:
    async with LocalEngine(ModelStore(added), threads=1, tried=False) as engine:
        await ask(engine, Call("counted", "classify"), *range(9))
        assert sum(Counted.met) == 9
        assert max(Counted.met) <= ModelStore(added).get("counted").manifest.serving.block


async def test_what_is_loaded_by_name_is_tried_even_so(added: Path) -> None:
    async with LocalEngine(ModelStore(added), threads=1, tried=False) as engine:
        await engine.load("counted")
        assert Counted.met


async def test_a_dear_net_is_not_tried_in_sizes_that_take_long_and_shares_no_batches(
    engine: LocalEngine, added: Path
) -> None:
    assert added.is_dir()
    await engine.load("dear")
    assert {size for size, _ in Dear.met} == {1}
    Dear.met.clear()
    await ask(engine, Call("dear", "classify"), 1, 2)
    assert [size for size, _ in Dear.met] == [1, 1]


@pytest.mark.parametrize(
    ("batch_s", "row_s", "most"),
    [(0.002, 0.0, 64), (0.0, 0.001, 8), (0.0, 0.005, 8)],
    ids=["the same for any batch", "the same for each row", "too long for a larger one"],
)
async def test_batches_grow_beyond_the_manifest_where_a_processor_gains_by_it(
    added: Path, batch_s: float, row_s: float, most: int
) -> None:
    async with LocalEngine(ModelStore(added), device=Timed(batch_s, row_s)) as engine:
        await engine.load("counted")
        Counted.met.clear()
        await ask(engine, Call("counted", "classify"), *range(1, 129))
    assert max(Counted.met) == most


@pytest.mark.parametrize(
    ("taken_s", "threads"),
    [
        ({1: 0.0001, 2: 0.00006}, 1),  # those who bring the rows need longer than the net
        ({1: 0.005, 2: 0.003}, 2),
        ({1: 0.005, 2: 0.0049}, 1),
        ({1: 0.005, 2: 0.009}, 1),
        ({6: 0.005}, 6),
    ],
)
def test_a_net_gets_all_cores_where_that_is_worth_it(taken_s: dict[int, float], threads: int) -> None:
    assert fitting(taken_s) == threads


def test_what_has_to_be_exact_is_computed_on_the_same_threads_whatever_a_net_was_given(added: Path) -> None:
    device = Device("cpu", threads=1, most_threads=2)
    assert device.choices == [1, 2]
    model = Model(added / "dear")
    net = device.place(model)
    device.give_threads(model, 2)
    for verb in ("classify", "features"):
        device.thread.submit(device.forward, net, model, zeros(model, verb, 1)).result(PATIENCE_S)
    assert Dear.met == [(1, 2), (1, 1)]
    device.close()


async def test_an_engine_holds_no_model_that_is_the_duty_of_another_until_somebody_asks_for_it(
    store: ModelStore,
) -> None:
    engine = Engine(store, Device("cpu", threads=1), instruments=Instruments(), duty=Duty.FORECASTS)
    await engine.start()
    await engine.load("echo")
    assert engine.models() == {}
    answers: asyncio.Queue[object] = asyncio.Queue()
    engine.enqueue(Work(ECHO, [images(1)], 1, Lane.INTERACTIVE, None, "", answers.put_nowait))
    assert isinstance(await asyncio.wait_for(answers.get(), PATIENCE_S), list)
    assert engine.models().keys() == {"echo"}
    await engine.stop()


async def test_an_engine_stops_although_a_model_can_never_be_loaded(store: ModelStore, models_dir: Path) -> None:
    add_card(models_dir / "echo", sha256="0" * 64)
    async with LocalEngine(store, threads=1) as engine:
        waiting = start(engine, ECHO, 1)
        await turns()
    with pytest.raises(UntrustedWeights):
        await waiting


async def test_who_waits_for_a_model_that_cannot_be_loaded_is_told_however_busy_the_device_is(
    store: ModelStore, models_dir: Path
) -> None:
    add_card(models_dir / "echo", sha256="0" * 64)
    device = BusyToTheEnd("cpu", threads=1)
    engine = OwnEngine(Engine(store, device, instruments=Instruments()))
    async with engine:
        device.thread.submit(Slow.let_go.wait)
        with pytest.raises(UntrustedWeights):
            await engine.submit(ECHO, [images(1)])


async def test_an_engine_stops_while_a_model_is_loading_that_nobody_waits_for(store: ModelStore) -> None:
    async with LocalEngine(store, threads=1) as engine:
        loading = asyncio.create_task(engine.load("echo"))
        await turns()
    await asyncio.gather(loading, return_exceptions=True)
    assert loading.done()
