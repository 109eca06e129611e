import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from doubles import FakeEngine, add_model, add_several

from service.errors import DeadlineExceeded, InvalidRequest, ModelFailed, Overloaded
from service.nets.registry import build_net
from service.operations.generate import (
    INTERACTIVE_COUNT,
    RANDOM_SEED_LIMIT,
    Sampling,
    Way,
    gather_samples,
    sample_images,
)
from service.runtime.calls import PARTS_EACH, Array, Call, Lane
from service.runtime.in_process import LocalEngine
from service.schemas import GenerateRequest
from service.store import Model, ModelStore

DCGAN = """
net = "dcgan32-generator"
task = "generate"
chapter = 0
paper = "none"
summary = "Untrained."
dataset = "none"
options = { latent = 16, width = 4, channels = 1 }
[output]
size = [28, 28]
channels = 1
latent = 16
crop = 2
[serving]
block = 16
"""


@pytest.fixture
def generator(models_dir: Path, store: ModelStore) -> Model:
    """A small generator of the kind that is served."""
    net = build_net("dcgan32-generator", {"latent": 16, "width": 4, "channels": 1})
    add_model(models_dir, "dcgan", net, DCGAN)
    return store.get("dcgan")


async def test_image_i_of_a_seed_is_the_same_whatever_the_count_and_the_company(
    engine: LocalEngine, generator: Model
) -> None:
    whole = await gather_samples(engine, generator, seed=7, count=INTERACTIVE_COUNT + 10)  # on the bulk lane
    assert whole.shape == (INTERACTIVE_COUNT + 10, 28, 28, 1)
    counts = (1, 15, 17, 30)  # they fit into the queue together
    together = await asyncio.gather(*(gather_samples(engine, generator, seed=7, count=count) for count in counts))
    for count, images in zip(counts, together, strict=True):
        assert images.tobytes() == whole[:count].tobytes()
    other = await gather_samples(engine, generator, seed=8, count=40)
    assert other.tobytes() != whole[:40].tobytes()


class Counting(FakeEngine):
    """Draws black images, and counts how many calls are open at once."""

    def __init__(self, *, full_after: int | None = None, room_after: int = 0) -> None:
        super().__init__()
        self.open = 0
        self.most = 0
        self.full_after = full_after
        self.room_after = room_after
        self.refused = 0

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Black images, but Overloaded for a while once so many calls were answered."""
        if self.full_after is not None and len(self.calls) >= self.full_after and self.refused < self.room_after:
            self.refused += 1
            raise Overloaded("no room")
        await super().submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        return [np.zeros((len(arrays[0]), 2, 2, 1), np.uint8)]


async def test_few_blocks_are_asked_for_ahead_and_many_images_go_on_the_bulk_lane(store: ModelStore) -> None:
    few, many = Counting(), Counting()
    await gather_samples(few, store.get("doodle"), seed=0, count=INTERACTIVE_COUNT)
    await gather_samples(many, store.get("doodle"), seed=0, count=INTERACTIVE_COUNT + 1)
    assert {lane for _, lane, *_ in few.calls} == {Lane.INTERACTIVE}
    assert {lane for _, lane, *_ in many.calls} == {Lane.BULK}
    assert max(few.most, many.most) <= PARTS_EACH


async def test_a_full_queue_refuses_the_first_block_and_makes_the_others_wait(store: ModelStore) -> None:
    engine = Counting(full_after=2, room_after=3)
    assert len(await gather_samples(engine, store.get("doodle"), seed=0, count=20)) == 20
    assert engine.refused == 3
    with pytest.raises(Overloaded):
        await gather_samples(Counting(full_after=0, room_after=1), store.get("doodle"), seed=0, count=20)


@pytest.mark.parametrize("error", [ModelFailed("no"), DeadlineExceeded("late")])
async def test_what_the_engine_met_is_raised(store: ModelStore, error: Exception) -> None:
    with pytest.raises(type(error)):
        await gather_samples(FakeEngine(error), store.get("doodle"), seed=0, count=20)


async def test_nothing_goes_on_when_the_images_are_not_wanted_any_more(store: ModelStore) -> None:
    engine = Counting()
    blocks = sample_images(engine, store.get("doodle"), seed=0, count=1000)
    async for _ in blocks:
        break
    await blocks.aclose()
    assert engine.open == 0
    assert len(engine.calls) <= PARTS_EACH + 1


@pytest.fixture
def several(models_dir: Path, store: ModelStore) -> ModelStore:
    """A store in which some models have several generators."""
    add_several(models_dir)
    return store


@pytest.mark.parametrize("name", ["dots", "colours"])
async def test_a_chosen_generator_draws_its_own_and_the_others_are_drawn_evenly(
    engine: LocalEngine, several: ModelStore, name: str
) -> None:
    model = several.get(name)
    mixed = await gather_samples(engine, model, seed=1, count=60)
    chosen = [
        await gather_samples(engine, model, seed=1, count=60, way=Way(generator=place))
        for place in range(model.manifest.generators)
    ]
    drew = np.array([[np.array_equal(one, own[row]) for own in chosen] for row, one in enumerate(mixed)])
    assert (drew.sum(axis=1) == 1).all()  # each sample is that of exactly one generator
    assert drew.sum(axis=0).min() >= 5
    again = await gather_samples(engine, model, seed=1, count=11, way=Way(generator=1))
    assert again.tobytes() == chosen[1][:11].tobytes()


async def test_a_path_begins_and_ends_with_samples_of_the_seed(engine: LocalEngine, several: ModelStore) -> None:
    for name in ("doodle", "dots"):
        model = several.get(name)
        plain = await gather_samples(engine, model, seed=4, count=6)
        paths = await gather_samples(engine, model, seed=4, count=15, way=Way(steps=5))
        rows = paths.reshape(3, 5, *paths.shape[1:])
        np.testing.assert_allclose(rows[:, 0], plain[0::2], rtol=0, atol=1e-6)
        np.testing.assert_allclose(rows[:, -1], plain[1::2], rtol=0, atol=1e-6)
        assert (await gather_samples(engine, model, seed=4, count=7, way=Way(steps=5))).tobytes() == paths[:7].tobytes()


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("doodle", {"format": "json"}, "format: doodle draws images, which come as png, zip, npz, npy, not as json"),
        ("dots", {"format": "zip"}, "format: dots draws points in the plane, which come as json, png, svg, npz, npy"),
        ("doodle", {"generator": 0}, "generator: doodle has one generator, and none to choose"),
        ("dots", {"generator": 4}, "generator: dots has generators 0 to 3"),
        ("doodle", {"count": 1025}, "count: at most 1,024 images as png; ask for one of zip, npz, npy"),
        (
            "dots",
            {"count": 10_001, "format": "svg"},
            "count: at most 10,000 points as svg; ask for one of json, npz, npy",
        ),
        ("dots", {"count": 50_001}, "count: at most 50,000 points"),
    ],
)
def test_what_a_model_does_not_draw_is_said(
    several: ModelStore, name: str, asked: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(words)) as raised:
        Sampling.of(GenerateRequest.model_validate(asked), several.get(name), limit=50_000)
    assert raised.value.errors is not None
    assert raised.value.errors[0]["field"] == words.partition(":")[0]


@pytest.mark.parametrize(
    ("name", "asked", "count", "suffix"),
    [
        ("doodle", {}, 16, "png"),
        ("dots", {}, 1000, "json"),
        ("doodle", {"interpolate": {"steps": 256}}, 1024, "png"),
        ("dots", {"count": 3, "interpolate": {"steps": 9}}, 3, "json"),
    ],
)
def test_what_is_not_said_is_filled_in(
    several: ModelStore, name: str, asked: dict[str, object], count: int, suffix: str
) -> None:
    sampling = Sampling.of(GenerateRequest.model_validate(asked), several.get(name), limit=5000)
    assert (sampling.count, sampling.suffix) == (count, suffix)
    assert 0 <= sampling.seed < RANDOM_SEED_LIMIT
