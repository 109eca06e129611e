"""Images to features: blocks through the engines on the bulk lane, a few of them under way for each."""

import asyncio
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.evaluation.samples.album import Album, Images
from service.evaluation.samples.reading import Samples
from service.imaging import Pixels
from service.metrics.metric import Side
from service.metrics.statistics import Statistics
from service.resampling import resample
from service.runtime.calls import Array, Call, EngineClient, Lane, submit_patiently
from service.store import ImageInput, Model
from service.tasks.features import AT_ANY_SIZE

BLOCKS_MADE, BLOCKS_EACH = 2, 2
"""Blocks that are being made, and those under way for each engine: devices are busy, queues are left to others."""

UNDER_WAY_BYTES = 1 << 29
"""What the blocks that are under way may take of the memory, however many engines there are."""
FLOAT_BYTES = 4
IMAGE_CHANNELS = 3

Rows = NDArray[np.float32]


async def extract_features(
    engine: EngineClient,
    model: Model,
    images: Images,
    *,
    folder: Path | None = None,
    on_progress: Callable[[float], object] = lambda _: None,
) -> tuple[Rows, Rows | None]:
    """Features (n, d) and class probabilities (n, classes), if the model knows any, of images fitted to its shape.

    With a folder they lie on its disk, and take no memory however many they are. The blocks are those of the model's
    manifest, so the same images in the same order give the same bits whatever else the engine does. Raises the
    ServiceError that the engine met.
    """
    block = model.manifest.serving.block
    sink = _Sink(len(images), folder)
    done, block_bytes = 0, block * math.prod(model.input.size) * IMAGE_CHANNELS * FLOAT_BYTES

    async def extract(start: int) -> None:
        nonlocal done, block_bytes
        verb, rows = await asyncio.to_thread(block_of, images, start, start + block, model.input)
        block_bytes = max(1, rows.nbytes)
        call = Call(model.id, verb, model.version)
        sink.put(start, len(rows), await submit_patiently(engine, call, [rows], lane=Lane.BULK))
        done += len(rows)
        on_progress(done / len(images))

    under_way: set[asyncio.Task[None]] = set()
    try:
        for start in range(0, len(images), block):
            under_way.add(asyncio.create_task(extract(start)))
            most = max(BLOCKS_EACH, min(BLOCKS_EACH * engine.width(), UNDER_WAY_BYTES // block_bytes))
            if len(under_way) >= BLOCKS_MADE + most:
                under_way = await _after_one(under_way)
        while under_way:
            under_way = await _after_one(under_way)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return sink.finish()


async def _after_one(under_way: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """What is still under way once at least one has ended. Raises what one met."""
    ended, left = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()
    return left


async def side_of_images(
    engine: EngineClient,
    model: Model,
    samples: Samples,
    *,
    folder: Path | None = None,
    on_progress: Callable[[float], object] = lambda _: None,
) -> Side:
    """What the metrics see of images: their features, and the statistics sent beside them that can be of such."""
    assert samples.images is not None
    features, probabilities = await extract_features(
        engine, model, samples.images, folder=folder, on_progress=on_progress
    )
    statistics, _ = beside_images(samples, features.shape[1], model.id)
    return Side(features, probabilities, statistics, samples.as_sent, samples.digests)


def block_of(images: Images, start: int, stop: int, spec: ImageInput) -> tuple[str, Array]:
    """The verb that takes these images, and their pixels.

    How a block is sent depends on its images alone, so that its features do, too: pixels as they are stored if they
    have one size and take no more bytes than what they are resampled to, else resampled here, one by one.
    """
    if spec.in_whole_pixels:
        assert not isinstance(images, Album)
        return "features", np.ascontiguousarray(images[start:stop])
    rows = [images[row] for row in range(start, min(stop, len(images)))]
    if spec.resample == "as-sent" or _lighter_as_stored(rows, spec):
        return AT_ANY_SIZE, np.stack(rows)
    return "features", np.stack([resample(row, spec.resample, spec.size) for row in rows])


def _lighter_as_stored(rows: list[Pixels], spec: ImageInput) -> bool:
    height, width = spec.size
    return len({row.shape for row in rows}) == 1 and rows[0][..., 0].size <= height * width * FLOAT_BYTES


class _Sink:
    """Where the rows of finished blocks go: memory, or files without a name in a folder."""

    def __init__(self, count: int, folder: Path | None) -> None:
        self._count = count
        self._folder = folder
        self._rows: list[Rows] = []

    def put(self, start: int, count: int, outputs: list[Rows]) -> None:
        """Take a block of `count` rows: its features and its probabilities."""
        if not self._rows:
            self._rows = [self._room(output.shape[1]) for output in outputs]
        for rows, output in zip(self._rows, outputs, strict=True):
            assert len(output) == count, "an engine answers for every row"
            rows[start : start + count] = output

    def finish(self) -> tuple[Rows, Rows | None]:
        """All rows, which nobody changes any more."""
        features, probabilities = self._rows
        for rows in self._rows:
            rows.setflags(write=False)
        return features, probabilities if probabilities.shape[1] else None

    def _room(self, width: int) -> Rows:
        shape = (self._count, width)
        if self._folder is None or width == 0:
            return np.empty(shape, np.float32)
        with tempfile.TemporaryFile(dir=self._folder) as file:  # the map keeps it, and the system removes it after that
            return np.memmap(file, np.float32, mode="w+", shape=shape)


def beside_images(samples: Samples, dimensions: int, extractor: str) -> tuple[Statistics | None, tuple[str, ...]]:
    """The statistics that were sent beside images, if they can be those of the same extractor, and what to say."""
    given = samples.statistics
    if given is None:
        return None, ()
    if len(given.mean) != dimensions:
        return None, (f"its mu and sigma have {len(given.mean):,} dimensions, not {dimensions:,}; they are left out.",)
    return given, (f"its mu and sigma are taken to be those of {extractor}; the features are of its images.",)
