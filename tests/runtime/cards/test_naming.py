from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.runtime.cards.naming import Found, ask_torch, devices_of, driver_of, duties_of, environment_of
from service.runtime.duties import Duty, duty_of, socket_of


def never() -> Found:
    raise AssertionError("torch was asked")


def test_devices_are_what_is_asked_for_and_one_may_have_several_engines() -> None:
    assert devices_of("cpu, cuda:1,", ask=never) == (["cpu", "cuda:1"], "")
    assert devices_of("cuda:0,cuda:0,GPU-5,cuda:0", ask=never) == (["cuda:0", "cuda:0#2", "GPU-5", "cuda:0#3"], "")
    with pytest.raises(ConfigurationError, match="names no device"):
        devices_of(" , ", ask=never)


def test_without_a_driver_nobody_asks_for_cards(tmp_path: Path) -> None:
    assert devices_of("auto", tmp_path, never) == (["cpu"], "")


@pytest.mark.parametrize(
    "sign", ["proc/driver/nvidia/version", "dev/nvidia0", "usr/bin/nvidia-smi", "usr/lib/wsl/lib/nvidia-smi"]
)
def test_a_driver_whose_cards_cannot_be_used_is_told_of(tmp_path: Path, sign: str) -> None:
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).touch()
    assert driver_of(tmp_path) == f"/{sign}"
    assert devices_of("auto", tmp_path, lambda: Found(2)) == (["cuda:0", "cuda:1"], "")
    devices, doubt = devices_of("auto", tmp_path, lambda: Found(0, "the driver is too old"))
    assert devices == ["cpu"]
    assert f"a driver for NVIDIA's cards (/{sign}), but no card can be used: the driver is too old." in doubt
    assert devices_of("cpu", tmp_path, never) == (["cpu"], "")


def test_beside_cards_the_processor_does_the_forecasts() -> None:
    assert duties_of(["cpu"]) == [("cpu", Duty.ALL)]
    assert duties_of(["simulated:0", "simulated:1"]) == [("simulated:0", Duty.ALL), ("simulated:1", Duty.ALL)]
    assert duties_of(["cuda:0", "MIG-7"]) == [
        ("cuda:0", Duty.OTHERS),
        ("MIG-7", Duty.OTHERS),
        ("cpu", Duty.FORECASTS),
    ]
    assert duties_of(["cpu", "cuda:0"])[-1] == ("cpu#2", Duty.FORECASTS)


@pytest.mark.parametrize(
    ("device", "seen", "card"),
    [
        ("cuda:0", "", "0"),
        ("cuda", "", "0"),
        ("cuda:3#2", "", "3"),
        ("cuda:1", "4,6", "6"),
        ("cuda:1", "GPU-a, GPU-b", "GPU-b"),
        ("cuda:2", "4,6", "-1"),
        ("GPU-5d2c", "4,6", "GPU-5d2c"),
        ("cuda:MIG-9f", "", "MIG-9f"),
        ("MIG-9f#2", "", "MIG-9f"),
    ],
)
def test_an_engine_sees_its_own_card_alone(device: str, seen: str, card: str) -> None:
    found = environment_of(device, {"CUDA_VISIBLE_DEVICES": seen} if seen else {})
    assert found == {"CUDA_VISIBLE_DEVICES": card, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def test_what_is_no_card_leaves_the_environment_as_it_is() -> None:
    for name in ("cpu", "cpu#2", "simulated:0"):
        assert environment_of(name, {}) == {}


def test_a_socket_says_what_its_engine_is_there_for(tmp_path: Path) -> None:
    for number, duty in enumerate(Duty):
        assert duty_of(socket_of(tmp_path, number, duty)) is duty
    assert duty_of(tmp_path / "anything.sock") is Duty.ALL


@pytest.mark.parametrize(
    ("duty", "held", "done"),
    [(Duty.ALL, 3, 3), (Duty.FORECASTS, 1, 1), (Duty.OTHERS, 2, 2)],
)
def test_a_duty_is_of_tasks_and_of_verbs(duty: Duty, held: int, done: int) -> None:
    assert sum(map(duty.holds, ("classify", "generate", "forecast"))) == held
    assert sum(map(duty.does, ("classify", "features", "fit"))) == done


@pytest.mark.slow
def test_torch_says_why_it_finds_no_card() -> None:
    found = ask_torch()
    assert found.cards or found.trouble
