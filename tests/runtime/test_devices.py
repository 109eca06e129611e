from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import CLASSIFIER, Echo, Slow, add_card, add_model, images
from waiting import PATIENCE_S, until

from service.errors import ConfigurationError, DeviceUnavailable, InvalidManifest, UntrustedWeights
from service.runtime.calls import Call, Lane
from service.runtime.devices import Device, gather
from service.runtime.queues import Batch, Share
from service.runtime.work import Work
from service.store import Model, ModelStore


def test_a_device_that_is_not_there_is_a_mistake_of_the_configuration() -> None:
    for name in ("nonsense", "cuda:99"):
        with pytest.raises(ConfigurationError, match=f"There is no device '{name}'"):
            Device(name)


def test_weights_that_are_not_the_ones_of_the_card_are_refused(models_dir: Path) -> None:
    device = Device("cpu", threads=1)
    add_card(models_dir / "echo", sha256="0" * 64)
    with pytest.raises(UntrustedWeights, match="its card says 0000"):
        device.place(Model(models_dir / "echo"))
    add_card(models_dir / "echo")
    assert isinstance(device.place(Model(models_dir / "echo")), Echo)
    device.close()


def test_a_net_that_nobody_wrote_is_named(tmp_path: Path, store: ModelStore) -> None:
    device = Device("cpu", threads=1)
    assert store.get("echo")
    add_model(tmp_path, "odd", Echo(), CLASSIFIER.format(net="resnet-1000"))
    with pytest.raises(InvalidManifest, match="resnet-1000"):
        device.place(Model(tmp_path / "odd"))
    device.close()


def test_a_batch_is_its_shares_in_order_and_zeros_after_them() -> None:
    works = [Work(Call("m", "v"), [np.full((3, 2), n)], 3, Lane.INTERACTIVE, None, "", lambda _: None) for n in (7, 8)]
    batch = Batch(Call("m", "v"), [Share(works[0], 1, 3), Share(works[1], 0, 1)], 4)
    [gathered] = gather(batch)
    np.testing.assert_array_equal(gathered, [[7, 7], [7, 7], [8, 8], [0, 0]])


def test_a_device_that_is_known_and_cannot_be_opened_may_be_there_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    with pytest.raises(DeviceUnavailable, match="There is no device 'cuda:99' now"):
        Device("cuda:99")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(ConfigurationError, match="knows no CUDA") as never:
        Device("cuda:99")
    assert not isinstance(never.value, DeviceUnavailable)


def test_a_device_says_what_it_is_at_and_how_long_that_usually_takes(models_dir: Path) -> None:
    device = Device("cpu", threads=1)
    model = Model(models_dir / "slow")
    net = device.place(model)
    assert device.steps.open() == []
    told = []
    for verb in ("classify", "classify", "explain"):
        Slow.entered.clear()
        Slow.let_go.clear()
        share = Share(Work(Call("slow", verb), [images(1)], 1, Lane.INTERACTIVE, None, "", lambda _: None), 0, 1)
        asked = device.thread.submit(device.forward, net, model, Batch(share.work.call, [share], 1))
        until(Slow.entered.is_set)
        told += device.steps.open()
        Slow.let_go.set()
        asked.result(PATIENCE_S)
    assert [what for _, what, *_ in told] == ["classify of slow", "classify of slow", "explain of slow"]
    assert [usual_s is None for _, _, usual_s, _ in told] == [
        True,
        False,
        True,
    ]  # options decide how long the last takes
    assert {model_id for *_, model_id in told} == {"slow"}
    assert len({number for number, *_ in told}) == 3
    assert device.steps.open() == []
    device.place(model)
    assert not device._usual_s  # other weights may be slower
    device.close()


def test_a_step_that_fails_has_ended(models_dir: Path) -> None:
    device = Device("cpu", threads=1)
    add_card(models_dir / "echo", sha256="0" * 64)
    with pytest.raises(UntrustedWeights):
        device.place(Model(models_dir / "echo"))
    assert device.steps.open() == []
    device.close()
