"""What a card is told, in which order, as far as that can be seen without one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import images
from runtime.cards.fake_cuda import FakeCuda

from service.runtime.calls import Call, Lane
from service.runtime.cards.cuda import CudaDevice
from service.runtime.cards.naming import SIMULATED
from service.runtime.cards.opening import open_device
from service.runtime.cards.simulated import SimulatedDevice
from service.runtime.cards.streams import Stage
from service.runtime.devices import Device
from service.runtime.queues import Batch, Share
from service.runtime.rows import zeros
from service.runtime.work import Work
from service.store import Model


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    made = FakeCuda()
    made.install(monkeypatch)
    return made


def batch_of(verb: str, *firsts: int, exact: bool = False) -> Batch:
    rows = len(firsts)
    work = Work(Call("echo", verb), [images(*firsts)], rows, Lane.INTERACTIVE, None, "", lambda _: None)
    return Batch(work.call, [Share(work, 0, rows)], rows, exact, padded=True)


@pytest.mark.usefixtures("cuda")
def test_every_stage_waits_for_the_one_before_it_on_a_stream_of_its_own(models_dir: Path) -> None:
    device = CudaDevice("cuda:0", at="cpu")
    model = Model(models_dir / "echo")
    net = device.place(model)
    [answer] = device.forward(net, model, batch_of("classify", 1, 2))
    np.testing.assert_allclose(answer[:, 0], [10 / 255, 20 / 255], atol=1e-6)
    urgent, patient = device._streams
    waits = {stage: [event.recorded for event in urgent.of[stage].waited] for stage in Stage}  # type: ignore[attr-defined]
    assert waits == {Stage.IN: [], Stage.COMPUTE: [urgent.of[Stage.IN]], Stage.OUT: [urgent.of[Stage.COMPUTE]]}
    assert [stream.priority for stream in patient.of.values()] == [0, 0, 0]
    device.forward(net, model, batch_of("features", 1, 2, 3, 4, exact=True))
    assert len(patient.of[Stage.COMPUTE].waited) == 1  # type: ignore[attr-defined]
    assert urgent.of[Stage.COMPUTE].priority < 0
    device.close()


def test_a_size_that_was_prepared_is_played_and_another_is_computed(cuda: FakeCuda, models_dir: Path) -> None:
    device = CudaDevice("cuda:0", at="cpu")
    model = Model(models_dir / "echo")
    net = device.place(model)
    device.prepare(net, model, zeros(model, "classify", 2, padded=True))
    assert (cuda.recorded, cuda.replayed) == (1, 0)
    [recorded] = device.forward(net, model, batch_of("classify", 5, 6))
    assert cuda.replayed == 1
    np.testing.assert_array_equal(recorded, 0.0)  # what the recording of zeros found
    [computed] = device.forward(net, model, batch_of("classify", 5))
    assert cuda.replayed == 1
    assert computed[0, 0] > 0
    device.forget("echo")
    [computed] = device.forward(net, model, batch_of("classify", 5, 6))
    assert computed[0, 0] > 0
    device.close()


def test_what_cannot_be_recorded_is_computed_as_it_is(
    cuda: FakeCuda, models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cuda.refuses_graphs = True
    device = CudaDevice("cuda:0", at="cpu")
    model = Model(models_dir / "echo")
    net = device.place(model)
    device.prepare(net, model, zeros(model, "classify", 2, padded=True))
    assert "classify of echo in batches of 2 is forwarded without a graph: operation not permitted" in caplog.text
    [computed] = device.forward(net, model, batch_of("classify", 5, 6))
    assert computed[0, 0] > 0
    device.close()


def test_a_card_is_lost_where_its_context_answers_nothing_whatever_the_error_says(cuda: FakeCuda) -> None:
    device = CudaDevice("cuda:0", at="cpu")
    errors = (
        torch.AcceleratorError("an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        torch.OutOfMemoryError("CUDA out of memory."),
        ValueError("2 results for 1 rows"),
    )
    assert [device.is_lost(error) for error in errors] == [True, False, False, False]
    cuda.alive = False
    assert [device.is_lost(error) for error in errors] == [True, True, False, False]
    device.close()


def test_a_card_says_what_it_is_and_what_of_its_memory_is_used(cuda: FakeCuda) -> None:
    device = CudaDevice("cuda:1#2", at="cpu")
    assert (device.name, device.kind) == ("cuda:1#2", "NVIDIA Imaginary 80GB, float32")
    assert device.memory_bytes() == {"used": 20, "total": 80}
    device.relieve()
    assert cuda.emptied == 1
    device.close()


@pytest.mark.usefixtures("cuda")
def test_a_device_is_opened_as_what_its_name_says() -> None:
    cards: dict[str, type[Device]] = {"cuda:0": CudaDevice, "MIG-9f": CudaDevice, f"{SIMULATED}:1": SimulatedDevice}
    kinds = {"cpu": Device, "cpu#2": Device, **cards}
    for name, kind in kinds.items():
        device = open_device(name, at="cpu" if kind is CudaDevice else None, threads=1)
        assert type(device) is kind
        assert device.name == name
        device.close()
