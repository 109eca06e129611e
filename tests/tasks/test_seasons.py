import numpy as np
import pytest
from numpy.typing import NDArray

from service.tasks.seasons import find_season, swings_with_level

T: NDArray[np.float64] = np.arange(300.0)[:, None]


def noise(seed: int, size: float = 1.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, size, (300, 1))


@pytest.mark.parametrize("period", [2, 7, 12, 24])
@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_a_season_is_found_under_a_trend_and_noise(period: int, slope: float) -> None:
    wave = np.random.default_rng(period).normal(0, 2, (period, 1))
    values = slope * T + np.tile(wave, (300 // period + 1, 1))[:300] + noise(1, 0.3)
    assert find_season(values) == period


def test_several_channels_share_their_season() -> None:
    both = np.concatenate([np.sin(2 * np.pi * T / 12), np.cos(2 * np.pi * T / 12) + 0.1 * T], axis=1)
    assert find_season(both + noise(0, 0.2)) == 12


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_what_walks_at_random_have_none(seed: int) -> None:
    assert find_season(noise(seed)) == 1
    assert find_season(noise(seed).cumsum(axis=0)) == 1


@pytest.mark.parametrize("values", [np.zeros((300, 1)), np.ones((1, 1)), np.arange(5.0)[:, None], 2.0 * T])
def test_what_never_turns_has_no_season(values: NDArray[np.float64]) -> None:
    assert find_season(values) == 1


def test_growth_swings_with_its_level_and_a_line_does_not() -> None:
    growth = np.exp(0.01 * T + noise(0, 0.05))
    assert swings_with_level(growth)
    assert swings_with_level(np.concatenate([growth, 5 * growth], axis=1))
    assert not swings_with_level(np.concatenate([growth, 400 + T + noise(1)], axis=1))
    assert not swings_with_level(growth - 2)
    assert not swings_with_level(growth[:10])
    assert not swings_with_level(np.ones((300, 1)))


def test_many_channels_are_looked_at_some_at_a_time_with_pauses_between() -> None:
    one = np.sin(2 * np.pi * np.arange(10_000) / 24)[:, None]
    pauses: list[int] = []
    assert find_season(np.tile(one, 14), lambda: pauses.append(1)) == find_season(one) == 24
    assert len(pauses) == 2 * 3  # the changes and what a line leaves, in three pieces each
