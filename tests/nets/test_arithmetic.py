import threading
from operator import attrgetter
from typing import Any

import torch

from service.nets.arithmetic import EXACT, FLOAT32, TF32, Exactly, multiplying
from service.runtime.devices import Device


def settings() -> dict[str, Any]:
    return {name: attrgetter(name)(torch.backends) for name in EXACT}


def test_torch_computes_exactly_until_the_last_has_left() -> None:
    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    try:
        before, exactly = settings(), Exactly()
        assert before != EXACT
        for _ in range(2):  # once more, after all have left
            with exactly:
                with exactly:
                    assert settings() == EXACT
                assert settings() == EXACT
                assert torch.get_default_dtype() == torch.float32
            assert settings() == before
            assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.set_default_dtype(torch.float32)


def test_a_device_counts_the_threads_of_its_own_thread_only() -> None:
    before = torch.get_num_threads()
    with Exactly():
        device = Device("cpu", threads=before + 2)
    assert device.thread.submit(torch.get_num_threads).result() == before + 2
    assert torch.get_num_threads() == before
    device.close()
    torch.set_num_threads(before)
    others: list[int] = []
    thread = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
    thread.start()
    thread.join(60)
    assert others == [before]


def test_cards_multiply_as_they_are_told_and_afterwards_as_before() -> None:
    def written() -> dict[str, Any]:
        return {name: attrgetter(name)(torch.backends) for name in FLOAT32}

    before = written()
    with multiplying(tf32=True):
        assert written() == {**FLOAT32, **TF32}
        with multiplying(tf32=False):
            assert written() == FLOAT32
        assert written() != FLOAT32
    assert written() == before
