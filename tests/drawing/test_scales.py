from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.drawing.scales import (
    glow,
    legend_of,
    odds_words,
    probability_words,
    scale_of,
    signed,
    stretched,
    told_apart,
)


def test_a_scale_is_of_what_was_answered() -> None:
    odds = scale_of("occlusion", {"log_odds": np.array([[1.5, -2.0]])}, "seven")
    assert (odds.quantity, odds.low, odds.high, odds.each) == ("log-odds of seven", -2.0, 1.5, False)
    maps = scale_of("activations", {"maps": np.array([[[1.0, 2.0]], [[-3.0, 0.0]]])})
    assert (maps.low, maps.high, maps.each) == (-3.0, 2.0, True)
    pixels = scale_of("activations", {"maps": np.ones((3, 1, 1))})
    assert not pixels.each
    kernels = scale_of("filters", {"kernels": np.array([[[[0.5, -0.7]]]])})
    assert (kernels.low, kernels.high, kernels.each) == (-0.7, 0.7, True)
    slopes = scale_of("saliency", {"slopes": np.r_[np.zeros(999), 100.0]}, "seven")
    assert (slopes.low, slopes.high) == (0.0, 0.0)  # one bright pixel of a thousand is beyond it


@pytest.mark.parametrize(
    ("method", "arrays", "low", "high"),
    [
        ("occlusion", {"log_odds": np.array([[0.0, 12.0]])}, "0 (p 0.5)", "12 (p 1-6e-06)"),
        ("saliency", {"slopes": np.full((4, 4), 2.0)}, "0", "2 and more"),
        ("activations", {"maps": np.array([[[1.0]], [[-2.0]]])}, "-2", "1"),
        ("activations", {"maps": np.ones((2, 3, 3))}, "each map's least", "its largest"),
        (
            "deconvnet",
            {"projections": np.ones((2, 1, 3, 3))},
            "minus the largest of each",
            "plus the largest; 0 is grey",
        ),
    ],
)
def test_the_ends_of_a_legend_say_what_its_colours_are(
    method: str,
    arrays: dict[str, NDArray[Any]],
    low: str,
    high: str,
) -> None:
    legend = legend_of(method, scale_of(method, arrays))
    assert (legend.low, legend.high) == (low, high)
    assert legend.colours[0].tolist() == [0] * legend.colours.shape[1]
    assert legend.colours[-1].tolist() == [255] * legend.colours.shape[1]


@pytest.mark.parametrize(
    ("log_odds", "words"),
    [
        (0.0, "0.5"),
        (-3.0, "0.047"),
        (3.0, "0.953"),
        (20.0, "1-2e-09"),
        (-20.0, "2.1e-09"),
        (900.0, "1-0"),
        (-900.0, "0"),
    ],
)
def test_probabilities_near_their_ends_are_told_by_what_is_left(log_odds: float, words: str) -> None:
    assert probability_words(log_odds) == words
    assert odds_words(log_odds) == f"{log_odds:.3g} (p {words})"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(1.0, 2.0, ("1", "2")), (14.00001, 14.00003, ("14.00001", "14.00003")), (2.5, 2.5, ("2.5", "2.5"))],
)
def test_the_ends_of_a_scale_are_told_apart_however_near_they_are(
    low: float, high: float, words: tuple[str, str]
) -> None:
    assert told_apart(low, high) == words


def test_numbers_become_shades() -> None:
    assert signed(np.array([-2.0, 0.0, 2.0])).tolist() == [0, 128, 255]
    assert signed(np.zeros(2)).tolist() == [128, 128]
    assert stretched(np.array([1.0, 2.0, 3.0])).tolist() == [0, 128, 255]
    assert stretched(np.array([1.0, 2.0, 9.0]), 1.0, 3.0).tolist() == [0, 128, 255]
    assert stretched(np.ones(2)).tolist() == [0, 0]
    assert glow(np.array([[0, 85, 170, 255]], np.uint8))[0].tolist() == [
        [0, 0, 0],
        [255, 0, 0],
        [255, 255, 0],
        [255, 255, 255],
    ]
