import numpy as np
import pytest

from service.drawing.captions import LEADING, MARGIN, TYPE, Legend, captioned, drawable, numbered, text_row
from service.imaging import Pixels

ROW = round(LEADING * TYPE)
WHITE = np.full((20, 300, 1), 255, np.uint8)
GREYS = np.arange(256, dtype=np.uint8)[:, None]


def rows_of(picture: Pixels) -> int:
    """How many rows of words and legend stand below WHITE."""
    height: int = picture.shape[0] - len(WHITE) - 2 * MARGIN
    return height // ROW


def test_a_picture_keeps_its_pixels_and_its_width_above_its_caption() -> None:
    told = captioned(WHITE, ["some words"])
    np.testing.assert_array_equal(told[:20], WHITE)
    assert told.shape == (20 + 2 * MARGIN + ROW, 300, 1)
    assert told[20:].max() > 200


@pytest.mark.parametrize(
    "words",
    ["x" * 300, "a-model-whose-id-is-" + "long-" * 16 + "and-ends", "several words " * 20, "W" * 100 + " and more"],
)
def test_long_words_are_broken_and_none_of_them_is_lost(words: str) -> None:
    told = captioned(WHITE, [words])
    assert rows_of(told) > 1
    assert not told[20:, -MARGIN // 2 :].any()  # nothing runs over the edge
    ink = told[20:].astype(int).sum()
    wide = text_row(words, 10_000).astype(int).sum()
    assert ink == pytest.approx(wide, rel=0.05)


def test_a_legend_shows_every_colour_between_its_ends_in_words() -> None:
    told = captioned(WHITE, [], Legend(GREYS, "low", "high"))
    assert rows_of(told) == 1
    middle = told[20 + MARGIN + ROW // 2, :, 0]
    assert middle[:60].max() > 200  # words
    assert len(set(middle.tolist())) > 100
    assert (np.diff(middle[60:120].astype(int)) >= 0).all()


def test_a_legend_that_is_too_wide_for_one_row_takes_several() -> None:
    assert rows_of(captioned(WHITE, [], Legend(GREYS, "low " * 12, "high " * 12))) > 2


def test_colour_comes_from_whichever_part_has_it() -> None:
    glow = np.stack([GREYS[:, 0], GREYS[:, 0] // 2, GREYS[:, 0] // 3], axis=1)
    assert captioned(WHITE, ["words"], Legend(glow, "low", "high")).shape[2] == 3
    assert numbered(np.zeros((9, 40, 3), np.uint8), "12").shape[2] == 3


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        ("28×28 → −3 … 4 · ±1", "28x28 -> -3 … 4 · ±1"),
        ("für Bücher, naïve, groß", "fur Bucher, naive, gross"),
        ("猫 and dog", "? and dog"),
        ("two\nlines", "two?lines"),
    ],
)
def test_words_are_drawn_in_the_characters_that_there_are(words: str, drawn: str) -> None:
    assert drawable(words) == drawn
    assert text_row(words, 200).max() > 200
