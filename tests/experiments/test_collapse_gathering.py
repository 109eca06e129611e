"""How generators are measured for mode collapse: from cards, from histories, from their images."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.collapse.correlation import FEWEST, correlate
from experiments.collapse.digits import EXTRACTOR, NAMERS, Judge
from experiments.collapse.gathering import coverage_of, gather, read_ended
from experiments.collapse.record import Digits, Measurement, Record, Spread, Stack
from experiments.collapse.sheets import PANEL, draw_sheet
from experiments.collapse.tables import RING
from experiments.pictures import LINE, MARGIN
from service.files import file_sha256
from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Card, Model, ModelStore, Score, write_card
from service.training.history import Row

SHIPPED = Settings().shipped_models_dir
MEASURED = {"modes": 7.5, "good": 0.8, "reverse_kl": 0.2}
ENDING = MEASURED | {f"{name}_deviation": 0.1 for name in MEASURED}
OF_ONE = {"modes": 6.0, "good": 0.5, "reverse_kl": 0.3}
SEEN = Digits(shares=(0.1,) * 10, confident=1, one_nn_real=0.5, one_nn_generated=0.5, fid=0, floor=0)


def card_of(*, ending: dict[str, float] | None = None, **recipe: Any) -> Card:
    return Card(
        sha256="0" * 64,
        size_bytes=1,
        parameters=1,
        macs=1,
        layers=(),
        seed=0,
        versions={},
        hardware="a CPU",
        seconds=60.0,
        recipe={"form": "full", "iterations": 100, "stack": 10, **recipe},
        ending=ending or {},
        scores={name: Score(value=value, on="ring-8", how="") for name, value in OF_ONE.items()},
    )


def make(store: Path, model_id: str, card: Card | None = None) -> Path:
    """A generator of the shipped store with weights freshly drawn; without a card it has none."""
    folder = store / model_id
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED / model_id / "model.toml", folder)
    if card is not None:
        manifest = Model(folder).manifest
        weights = folder / "weights.safetensors"
        save_weights(build_net(manifest.net, manifest.options), weights)
        write_card(card.model_copy(update={"sha256": file_sha256(weights)}), folder / "card.json")
    return folder


def write_history(state: Path, name: str, rows: list[Row]) -> None:
    folder = state / "training" / name
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


class Looking:
    """Sees the same in everybody's images, and remembers whose it looked at."""

    def __init__(self, seen_by: str = "") -> None:
        self.looked: list[str] = []
        self.seen_by = seen_by

    async def look(self, model: Model) -> Digits:
        self.looked.append(model.id)
        return SEEN.model_copy(update={"seen_by": self.seen_by})

    async def look_at_stack(self, model: Model) -> Stack:
        self.looked.append(model.id)
        return Stack(confident=0.5, confident_real=0.9, seen_by=self.seen_by)


async def gathered(store: Path, state: Path, known: Record, eye: Looking) -> dict[str, Measurement]:
    return {model.id: found async for model, found in gather(store, state, known, eye)}


def falling(count: int) -> list[Row]:
    """A distance that falls with FID, a loss that rises, one that is always the same."""
    return [
        {"step": 10.0 * n, "fid": 1 / n, "distance": 2 / n, "generator_loss": float(n), "discriminator_loss": 1.0}
        for n in range(1, count + 1)
    ]


def test_the_spread_of_a_stack_is_what_was_measured_last() -> None:
    found = coverage_of(card_of(ending=ENDING), [])
    assert found.seeds == 10
    assert found.modes == Spread(mean=7.5, deviation=0.1)
    assert coverage_of(card_of(), [{"step": 50, "modes": 1.0}, {"step": 100, **ENDING}]) == found


def test_the_numbers_of_each_of_a_stack_are_kept_where_they_were_written_down() -> None:
    each = {f"{name}_of_{place}": value + place for name, value in MEASURED.items() for place in range(2)}
    found = coverage_of(card_of(ending=ENDING | each), [])
    assert found.modes == Spread(mean=7.5, deviation=0.1, each=(7.5, 8.5))


def test_where_nobody_wrote_the_spread_down_the_one_that_is_served_stands_alone() -> None:
    found = coverage_of(card_of(), [])
    assert (found.seeds, found.modes, found.good) == (1, Spread(mean=6), Spread(mean=0.5))


@pytest.mark.parametrize(("form", "folder"), [("full", "gan-ring"), ("reduced", "gan-ring-reduced")])
def test_a_history_is_that_of_the_recipe_that_made_the_weights(form: str, folder: str, tmp_path: Path) -> None:
    write_history(tmp_path, folder, [{"step": 100.0}])
    assert read_ended("gan-ring", card_of(form=form), tmp_path) == [{"step": 100.0}]
    assert read_ended("gan-grid", card_of(form=form), tmp_path) == []


def test_a_training_that_is_under_way_says_nothing_yet(tmp_path: Path) -> None:
    write_history(tmp_path, "gan-ring", [{"step": 50.0}])
    assert read_ended("gan-ring", card_of(), tmp_path) == []


async def test_what_has_no_weights_is_left_out_and_the_rest_is_measured(tmp_path: Path) -> None:
    make(tmp_path / "store", "gan-ring", card_of(ending=ENDING))
    make(tmp_path / "store", "wgan-ring")
    make(tmp_path / "store", "gan-mnist", card_of(stack=1))
    write_history(tmp_path, "gan-mnist", falling(10))
    found = await gathered(tmp_path / "store", tmp_path, {}, Looking())
    assert list(found) == ["gan-ring", "gan-mnist"]
    assert found["gan-ring"].numbers == MEASURED
    assert found["gan-mnist"].digits == SEEN
    assert found["gan-mnist"].correlation is not None
    assert found["gan-mnist"].correlation.of["distance"].rho == 1.0


async def test_images_are_looked_at_once_for_the_same_weights(tmp_path: Path) -> None:
    eye = Looking()
    store = tmp_path / "store"
    make(store, "gan-mnist", card_of(stack=1))
    write_history(tmp_path, "gan-mnist", falling(10))
    first = await gathered(store, tmp_path, {}, eye)
    # a fresh clone has no state directory: what was read of a history stays
    assert await gathered(store, tmp_path / "elsewhere", first, eye) == first
    assert eye.looked == ["gan-mnist"]
    make(store, "gan-mnist", card_of(stack=1))
    second = await gathered(store, tmp_path / "elsewhere", first, eye)
    assert eye.looked == ["gan-mnist"] * 2
    assert second["gan-mnist"].correlation is None


def test_a_loss_goes_with_fid_against_it_or_not_at_all() -> None:
    found = correlate(falling(10))
    assert found is not None
    assert found.moments == 10
    assert {name: one.rho for name, one in found.of.items()} == {"generator_loss": -1.0, "distance": 1.0}


def test_too_few_measurements_say_nothing() -> None:
    assert correlate(falling(FEWEST - 1)) is None
    assert correlate([]) is None


async def test_a_sheet_shows_who_is_trained_and_who_is_not_beside_real_samples(tmp_path: Path) -> None:
    for model_id in ("gan-ring", "wgan-ring"):
        make(tmp_path, model_id, card_of() if model_id == "gan-ring" else None)
    async with LocalEngine(ModelStore(tmp_path)) as engine:
        picture = Image.open(io.BytesIO(await draw_sheet(RING, tmp_path, engine, tmp_path, {})))
    side, top = PANEL + MARGIN, MARGIN + LINE
    grey = np.asarray(picture.convert("L"))
    real, trained, empty = (
        grey[top + LINE + down : top + LINE + down + PANEL, MARGIN + left : MARGIN + left + PANEL]
        for down, left in ((0, 0), (0, side), (side + LINE, 0))
    )
    assert real.mean() > 200
    assert trained.mean() > 200
    assert not np.array_equal(real, trained)
    assert empty.mean() < 100


async def test_what_other_eyes_saw_is_looked_at_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    make(store, "gan-mnist", card_of(stack=1))
    first = await gathered(store, tmp_path, {}, Looking("one net"))
    eye = Looking("another net")
    second = await gathered(store, tmp_path, first, eye)
    assert eye.looked == ["gan-mnist"]
    assert second["gan-mnist"].digits is not None
    assert second["gan-mnist"].digits.seen_by == "another net"


async def test_three_digits_of_one_image_are_looked_at_once_too(tmp_path: Path) -> None:
    store, eye = tmp_path / "store", Looking("one net")
    make(store, "gan-stacked-mnist", card_of(stack=1))
    first = await gathered(store, tmp_path, {}, eye)
    assert await gathered(store, tmp_path, first, eye) == first
    assert eye.looked == ["gan-stacked-mnist"]
    assert first["gan-stacked-mnist"].numbers["confident"] == 0.5


async def test_digits_are_named_by_classifiers_and_compared_with_real_ones_by_another(tmp_path: Path) -> None:
    folder = make(tmp_path, "gan-mnist", card_of(stack=1))
    stacked = make(tmp_path, "gan-stacked-mnist", card_of(stack=1))
    for name in (EXTRACTOR, *NAMERS):
        (tmp_path / name).symlink_to(SHIPPED / name)
    assert EXTRACTOR not in NAMERS
    store = ModelStore(tmp_path)
    real = np.random.default_rng(0).integers(0, 256, (400, 28, 28, 1), dtype=np.uint8)
    async with LocalEngine(store) as engine:
        judge = await Judge.beside(real, store.get(EXTRACTOR), [store.get(name) for name in NAMERS], engine)
        found = await judge.look(Model(folder), count=64)
        stack = await judge.look_at_stack(Model(stacked), count=8)
    assert len(found.shares) == 10
    assert sum(found.shares) == pytest.approx(1)
    assert found.fid > found.floor > 0
    assert found.one_nn_generated > 0.5
    assert found.confident_real == 0.0, "nobody is confident of noise"
    assert found.seen_by == judge.seen_by == stack.seen_by
    assert stack.confident_real == 0.0
    assert 0 <= stack.confident <= 1
