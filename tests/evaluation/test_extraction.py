"""Features are the same in memory and on disk, and a cancelled extraction leaves nothing behind."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from doubles import Unanswering
from evaluation.packing import digits

from service.evaluation.extraction import BLOCKS_UNDER_WAY, extract_features
from service.runtime.in_process import LocalEngine
from service.store import ModelStore


async def test_features_on_a_disk_are_those_in_memory_and_have_no_name_there(
    engine: LocalEngine, store: ModelStore, tmp_path: Path
) -> None:
    images = digits(50, size=2)
    shares: list[float] = []
    in_memory = await extract_features(engine, store.get("echo"), images)
    (folder := tmp_path / "work").mkdir()
    on_disk = await extract_features(engine, store.get("echo"), images, folder=folder, on_progress=shares.append)
    for rows, mapped in zip(in_memory, on_disk, strict=True):
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        np.testing.assert_array_equal(rows, mapped)
    assert list(folder.iterdir()) == []
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


async def test_a_cancelled_extraction_takes_all_its_blocks_with_it(store: ModelStore) -> None:
    engine = Unanswering()
    work = asyncio.create_task(extract_features(engine, store.get("echo"), digits(500, size=2)))
    await engine.asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(asyncio.all_tasks()) == 1
    assert BLOCKS_UNDER_WAY > 1
