"""docs/zfnet.md is what was measured, and what is done to images is what it is called."""

import re

import numpy as np
import torch

from experiments.diagnosis.__main__ import DOCUMENT, MEASUREMENTS, MODEL, PICTURES
from experiments.diagnosis.changing import CHANGES, scaled, shifted, turned
from experiments.diagnosis.document import render
from experiments.diagnosis.hiding import GREY, PLACES, SQUARE, apart, hidden
from experiments.diagnosis.record import read_record
from service.settings import Settings
from service.store import ModelStore

RECORD = read_record(MEASUREMENTS)
LIMIT_BYTES = 900_000
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_the_page_is_what_its_measurements_say() -> None:
    assert DOCUMENT.read_text("utf-8") == render(RECORD), "`python -m experiments.diagnosis --render` puts it right"


def test_the_net_that_is_served_was_measured_and_the_pictures_are_there_and_small() -> None:
    model = ModelStore(Settings().shipped_models_dir).get(MODEL, task="classify")
    assert RECORD.weights == model.version, "`python -m experiments.diagnosis` measures it"
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < LIMIT_BYTES
    assert {one.of for one in RECORD.responses} == set(CHANGES)
    assert {len(one.same) for one in RECORD.correspondences} == {len(RECORD.classes)}
    assert {path.name for path in PICTURES.iterdir()} == set(re.findall(r"\(zfnet/(.+)\)", render(RECORD)))


def test_an_image_that_is_not_changed_stays_as_it_is() -> None:
    for image in (shifted(IMAGE, 0), scaled(IMAGE, 1), turned(IMAGE, 0)):
        np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_allclose(turned(IMAGE, 360).astype(int), IMAGE.astype(int), atol=1)  # a cosine of nearly 1


def test_an_image_is_shifted_upwards_and_its_border_goes_on() -> None:
    moved = shifted(IMAGE, 4)
    np.testing.assert_array_equal(moved[:-4], IMAGE[4:])
    np.testing.assert_array_equal(moved[-4:], IMAGE[-1:].repeat(4, axis=0))


def test_a_quarter_turn_goes_against_the_clock() -> None:
    np.testing.assert_allclose(turned(IMAGE, 90).astype(int), np.rot90(IMAGE).astype(int), atol=1)


def test_an_image_twice_as_large_shows_its_middle() -> None:
    plain = np.zeros_like(IMAGE)
    plain[8:24, 8:24] = 200
    assert (scaled(plain, 2) > 100).mean() > 0.9


def test_a_square_hides_its_own_place_in_each_image() -> None:
    covered = hidden(np.stack([IMAGE, IMAGE]), np.array([0, 8]))
    for image, (top, left) in zip(covered, (PLACES[0], PLACES[8]), strict=True):
        assert (image[top : top + SQUARE, left : left + SQUARE] == GREY).all()
        assert (image != IMAGE).any(axis=2).sum() <= SQUARE**2


def test_changes_of_one_sign_are_not_apart_and_opposite_ones_are_wholly() -> None:
    assert apart(torch.tensor([[1.0, -2.0], [3.0, -1.0]])) == 0
    assert apart(torch.tensor([[1.0, -2.0], [-3.0, 1.0]])) == 1
    assert apart(torch.tensor([[1.0, 1.0], [1.0, -1.0]])) == 0.5
