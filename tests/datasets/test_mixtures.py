from pathlib import Path

import numpy as np
import pytest

from service.datasets.registry import MIXTURES, find_mixture
from service.errors import DatasetMissing


@pytest.mark.parametrize(("name", "modes", "deviation"), [("ring-8", 8, 0.01), ("grid-25", 25, 0.05)])
def test_a_mixture_is_that_of_the_protocol(name: str, modes: int, deviation: float) -> None:
    mixture = find_mixture(name)
    assert mixture.name == name
    assert len(set(mixture.modes)) == modes
    points = mixture.load(Path(), "train")
    assert points.shape == (100_000, 2)
    distances = np.linalg.norm(points[:, None] - np.array(mixture.modes), axis=2)
    shares = np.bincount(distances.argmin(axis=1), minlength=modes) / len(points)
    np.testing.assert_allclose(shares, 1 / modes, atol=0.005)
    # the distance to the mode is of Rayleigh's distribution
    assert distances.min(axis=1).mean() == pytest.approx(deviation * np.sqrt(np.pi / 2), rel=0.01)


def test_the_ring_has_a_radius_of_one_and_the_grid_a_step_of_two() -> None:
    np.testing.assert_allclose(np.linalg.norm(MIXTURES["ring-8"].modes, axis=1), 1)
    assert sorted({x for x, _ in MIXTURES["grid-25"].modes}) == [-4, -2, 0, 2, 4]


def test_points_are_always_the_same_and_no_part_is_like_another() -> None:
    ring = find_mixture("ring-8")
    assert np.array_equal(ring.load(Path(), "train"), ring.load(Path("elsewhere"), "train"))
    assert not np.isin(ring.load(Path(), "train")[:, 0], ring.load(Path(), "test")[:, 0]).all()


def test_an_unknown_mixture_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DatasetMissing, match="'spiral'; there are grid-25, ring-8"):
        find_mixture("spiral")
