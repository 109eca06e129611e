"""Features are the same in memory and on disk, and a cancelled extraction leaves nothing behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from doubles import FakeEngine, Unanswering
from evaluation.packing import digits

from service.errors import ModelFailed
from service.evaluation.extraction import BLOCKS_EACH, BLOCKS_MADE, extract_features
from service.runtime.calls import Array, Call
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


class Held(FakeEngine):
    """Answers nothing before all are there that it waits for, and notes how many there were."""

    def __init__(self, engines: int) -> None:
        super().__init__(width=lambda: engines)
        self.open = self.most = 0
        self.enough = asyncio.Event()

    async def submit(self, call: Call, arrays: Sequence[Array], **options: object) -> list[Array]:  # noqa: ARG002
        """Features, once so many are asked for at the same time as engines can be kept busy with."""
        self.open += 1
        self.most = max(self.most, self.open)
        if self.most >= BLOCKS_EACH * self.width():
            self.enough.set()
        await self.enough.wait()
        self.open -= 1
        return [np.zeros((len(arrays[0]), 4), np.float32), np.zeros((len(arrays[0]), 0), np.float32)]


@pytest.mark.parametrize("engines", [1, 8])
async def test_every_engine_has_blocks_under_way_and_the_queue_is_left_to_others(
    store: ModelStore, engines: int
) -> None:
    engine = Held(engines)
    features, _ = await extract_features(engine, store.get("echo"), digits(500, size=2))
    assert len(features) == 500
    assert BLOCKS_EACH * engines <= engine.most <= BLOCKS_MADE + BLOCKS_EACH * engines


async def test_what_a_block_meets_ends_the_others(store: ModelStore) -> None:
    engine = FakeEngine(ModelFailed("no"))
    with pytest.raises(ModelFailed):
        await extract_features(engine, store.get("echo"), digits(500, size=2))
    assert len(asyncio.all_tasks()) == 1
