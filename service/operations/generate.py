"""The samples of a seed, block by block, through any engine; and the request for them, understood."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from service.errors import InvalidRequest
from service.packing.formats import IMAGES, POINTS, Format
from service.packing.stream import Contents, Samples
from service.runtime.calls import Call, EngineClient, Lane, submit_parts
from service.schemas import GenerateRequest
from service.store import Model
from service.tasks.generate import Latents, choosing, interpolated, latents

INTERACTIVE_COUNT = 256
"""Requests for more samples than this wait behind everybody's smaller ones."""
BLOCKS_TOGETHER = 2
"""The model's blocks in each submission after the first: fewer messages, and the queue fills no faster."""
IMAGES_COUNT, POINTS_COUNT, PATHS_COUNT = 16, 1000, 4
"""How many samples are drawn where the request does not say: images, points, paths of an interpolation."""
RANDOM_SEED_LIMIT = 2**53
"""Random seeds stay below this, so that every reader of JSON holds them exactly."""


class Way(NamedTuple):
    """How a seed becomes latents; the default is one after the other, as they are drawn."""

    steps: int | None = None
    """Of each path on the sphere, where paths are asked for."""
    generator: int | None = None
    """Which of the model's generators draws; each latent's own choice unless given."""

    def latents(self, model: Model, seed: int, start: int, count: int) -> Latents:
        """Rows `start` to `start + count`, float32 (count, latent)."""
        manifest = model.manifest
        if self.steps is None:
            rows = latents(seed, start, count, manifest.latent)
        else:
            rows = interpolated(seed, start, count, manifest.latent, self.steps)
        if self.generator is not None:
            rows[:, -1] = choosing(self.generator, manifest.generators)
        return rows


PLAIN = Way()


async def sample_images(
    engine: EngineClient,
    model: Model,
    *,
    seed: int,
    count: int,
    way: Way = PLAIN,
    deadline: float | None = None,
    request_id: str = "",
) -> AsyncGenerator[Samples, None]:
    """Images uint8 (n, H, W, C) or points float32 (n, 2), `count` in all, in order; each depends on seed, index, way.

    Raises the ServiceError that the engine met; Overloaded only before the first block, later ones wait for room.
    """
    block = model.manifest.serving.block
    lane = Lane.INTERACTIVE if count <= INTERACTIVE_COUNT else Lane.BULK
    starts = [0, *range(block, count, block * BLOCKS_TOGETHER)]
    parts = ([way.latents(model, seed, start, stop - start)] for start, stop in pairwise([*starts, count]))
    call = Call(model.id, "generate")
    async with aclosing(
        submit_parts(engine, call, parts, lane=lane, deadline=deadline, request_id=request_id)
    ) as answers:
        async for [samples] in answers:
            yield samples


async def gather_samples(engine: EngineClient, model: Model, *, seed: int, count: int, way: Way = PLAIN) -> Samples:
    """The first `count` samples of a seed in one array, as `sample_images` draws them."""
    return np.concatenate([block async for block in sample_images(engine, model, seed=seed, count=count, way=way)])


@dataclass(frozen=True, slots=True)
class Sampling:
    """A request for samples, understood."""

    model: Model
    seed: int
    count: int
    way: Way
    format: Format
    suffix: str

    @classmethod
    def of(
        cls, request: GenerateRequest, model: Model, *, limit: int | None = None, format_name: str | None = None
    ) -> Self:
        """What is asked of this model; `format_name` is taken where the request names none. Raises InvalidRequest."""
        formats = formats_of(model)
        name = request.format or format_name or next(iter(formats))
        if name not in formats:
            kind = "images" if formats is IMAGES else "points in the plane"
            message = f"{model.id} draws {kind}, which come as {', '.join(formats)}, not as {name}"
            raise InvalidRequest.of_field("format", message)
        generators = model.manifest.generators
        if request.generator is not None and not (generators > 1 and request.generator < generators):
            there = "one generator, and none to choose" if generators == 1 else f"generators 0 to {generators - 1}"
            raise InvalidRequest.of_field("generator", f"{model.id} has {there}")
        steps = None if request.interpolate is None else request.interpolate.steps
        count = request.count or _usual_count(formats is IMAGES, steps)
        _check_count(count, limit, formats, name)
        seed = secrets.randbelow(RANDOM_SEED_LIMIT) if request.seed is None else request.seed
        return cls(model, seed, count, Way(steps, request.generator), formats[name], name)

    def contents(self) -> Contents:
        """What has to be known before the first sample is packed."""
        manifest = self.model.manifest
        known = (self.model.name, self.model.version, self.seed, self.count)
        if manifest.points is not None:
            return Contents(*known, (2,), modes=manifest.points.modes, deviation=manifest.points.deviation)
        return Contents(*known, (*self.model.output.size, self.model.output.channels), columns=self.way.steps)

    def blocks(
        self, engine: EngineClient, *, deadline: float | None = None, request_id: str = ""
    ) -> AsyncGenerator[Samples, None]:
        """The samples themselves."""
        return sample_images(
            engine,
            self.model,
            seed=self.seed,
            count=self.count,
            way=self.way,
            deadline=deadline,
            request_id=request_id,
        )


def formats_of(model: Model) -> dict[str, Format]:
    """The formats that this generator's samples come in, the usual one first."""
    return IMAGES if model.manifest.points is None else POINTS


def _usual_count(images: bool, steps: int | None) -> int:  # noqa: FBT001 - one of two kinds
    if steps is not None:
        return steps * PATHS_COUNT
    return IMAGES_COUNT if images else POINTS_COUNT


def _check_count(count: int, limit: int | None, formats: dict[str, Format], name: str) -> None:
    of_format = formats[name].stream.limit
    most = min((bound for bound in (limit, of_format) if bound is not None), default=count)
    if count <= most:
        return
    unlimited = [other for other, form in formats.items() if form.stream.limit is None]
    hint = f" as {name}; ask for one of {', '.join(unlimited)}" if most == of_format else ""
    what = "images" if formats is IMAGES else "points"
    raise InvalidRequest.of_field("count", f"at most {most:,} {what}{hint}")
