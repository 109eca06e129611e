import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from doubles import FakeEngine, add_model
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelFailed, Overloaded
from service.nets.registry import build_net
from service.runtime.calls import Array, Call, EngineClient, Lane
from service.runtime.local import LocalEngine
from service.runtime.sampling import BLOCKS_AHEAD, INTERACTIVE_COUNT, sample_images
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


async def sample(engine: EngineClient, model: Model, *, seed: int, count: int) -> NDArray[np.uint8]:
    return np.concatenate([block async for block in sample_images(engine, model, seed=seed, count=count)])


async def test_image_i_of_a_seed_is_the_same_whatever_the_count_and_the_company(
    engine: LocalEngine, generator: Model
) -> None:
    whole = await sample(engine, generator, seed=7, count=INTERACTIVE_COUNT + 10)  # on the bulk lane
    assert whole.shape == (INTERACTIVE_COUNT + 10, 28, 28, 1)
    counts = (1, 15, 17, 30)  # their first blocks fit into the queue together
    together = await asyncio.gather(*(sample(engine, generator, seed=7, count=count) for count in counts))
    for count, images in zip(counts, together, strict=True):
        assert images.tobytes() == whole[:count].tobytes()
    other = await sample(engine, generator, seed=8, count=40)
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
    await sample(few, store.get("doodle"), seed=0, count=INTERACTIVE_COUNT)
    await sample(many, store.get("doodle"), seed=0, count=INTERACTIVE_COUNT + 1)
    assert {lane for _, lane, *_ in few.calls} == {Lane.INTERACTIVE}
    assert {lane for _, lane, *_ in many.calls} == {Lane.BULK}
    assert max(few.most, many.most) <= BLOCKS_AHEAD + 1


async def test_a_full_queue_refuses_the_first_block_and_makes_the_others_wait(store: ModelStore) -> None:
    engine = Counting(full_after=2, room_after=3)
    assert len(await sample(engine, store.get("doodle"), seed=0, count=20)) == 20
    assert engine.refused == 3
    with pytest.raises(Overloaded):
        await sample(Counting(full_after=0, room_after=1), store.get("doodle"), seed=0, count=20)


@pytest.mark.parametrize("error", [ModelFailed("no"), DeadlineExceeded("late")])
async def test_what_the_engine_met_is_raised(store: ModelStore, error: Exception) -> None:
    with pytest.raises(type(error)):
        await sample(FakeEngine(error), store.get("doodle"), seed=0, count=20)


async def test_nothing_goes_on_when_the_images_are_not_wanted_any_more(store: ModelStore) -> None:
    engine = Counting()
    blocks = sample_images(engine, store.get("doodle"), seed=0, count=1000)
    async for _ in blocks:
        break
    await blocks.aclose()  # type: ignore[attr-defined]
    assert engine.open == 0
    assert len(engine.calls) <= BLOCKS_AHEAD + 2
