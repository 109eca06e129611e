import gc
import subprocess
import sys

import pytest
import torch
from doubles import echoed, images

from service.errors import ConfigurationError, ModelNotFound
from service.local.engine import LazyEngine
from service.runtime.calls import Call
from service.settings import Settings
from service.store import ModelStore

CALL = Call("echo", "classify")


async def test_it_opens_with_the_first_work_and_again_after_it_was_closed(
    service_settings: Settings, store: ModelStore
) -> None:
    engine = LazyEngine(service_settings, store)
    assert engine.models() == {}
    await engine.unload("echo")
    for _ in range(2):
        [answer] = await engine.submit(CALL, [images(200)])
        assert answer == pytest.approx(echoed(200), rel=1e-5)
        assert list(engine.models()) == ["echo"]
        await engine.unload("echo")
        assert engine.models() == {}
        await engine.load("echo")
        await engine.close()
        await engine.close()


@pytest.mark.parametrize("collecting", [True, False])
async def test_garbage_is_collected_again_once_it_is_open_where_it_was(
    service_settings: Settings, store: ModelStore, *, collecting: bool
) -> None:
    engine = LazyEngine(service_settings, store)
    if not collecting:
        gc.disable()
    try:
        await engine.submit(CALL, [images(200)])
        assert gc.isenabled() is collecting
    finally:
        gc.enable()
        await engine.close()


async def test_torch_is_left_as_it_was_found(service_settings: Settings, store: ModelStore) -> None:
    threads = torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    try:
        engine = LazyEngine(service_settings.model_copy(update={"threads": threads + 3}), store)
        await engine.submit(CALL, [images(200)])
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.get_num_threads() == threads
        with pytest.raises(ModelNotFound):
            await engine.submit(Call("nobody", "classify"), [images(1)])
        assert torch.get_float32_matmul_precision() == "medium"
        await engine.close()
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("frozen", [False, True])
def test_what_torch_brings_is_old_at_once_and_what_was_frozen_stays_so(*, frozen: bool) -> None:
    program = f"""
import gc
if {frozen}:
    gc.freeze()
from service.local.engine import _collecting_nothing
with _collecting_nothing():
    import torch
gc.disable()
young = any(found is vars(torch) for generation in (0, 1) for found in gc.get_objects(generation))
print(young, gc.get_freeze_count() > 0)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(frozen), str(frozen)]


async def test_a_device_that_is_not_there_is_said_every_time(service_settings: Settings, store: ModelStore) -> None:
    engine = LazyEngine(service_settings.model_copy(update={"devices": "cuda:99"}), store)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="no device 'cuda:99'"):
            await engine.submit(CALL, [images(1)])
    await engine.close()


def test_torch_is_not_loaded_before_the_first_work() -> None:
    program = "import sys, service.local.evaluation as e; e.Local(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
