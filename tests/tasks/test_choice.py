import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from service.datasets.mackey_glass import mackey_glass
from service.datasets.narma10 import narma10
from service.nets.registry import build_net
from service.settings import Settings
from service.store import Manifest, Model
from service.tasks.choice import Choice
from service.tasks.forecast import Fit
from service.tasks.registry import TASKS

Values = NDArray[np.float64]
FORECASTER: Manifest = Model(Settings().shipped_models_dir / "esn-mackey-glass").manifest
DRIVEN: Manifest = Model(Settings().shipped_models_dir / "esn-narma10").manifest
YEAR = 12
T: Values = np.arange(160.0)[:, None]


class Found(NamedTuple):
    forecast: Values
    choice: Choice
    memory: torch.Tensor
    weights: torch.Tensor


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fitted(values: Values, horizon: int, *, season: int = 0, manifest: Manifest = FORECASTER) -> Found:
    net = build_net(manifest.net, {**manifest.options, "units": 100}).eval().requires_grad_(requires_grad=False)
    inputs = torch.zeros(1, len(values) + horizon, 0, dtype=torch.float64)
    with torch.inference_mode():
        forecast, _, _, memory, weights, choice = Fit(season=season).forward(
            net, [torch.from_numpy(np.ascontiguousarray(values))[None], inputs], manifest
        )
    return Found(forecast[0].numpy(), Choice.read(choice[0].numpy()), memory, weights)


def months(length: int, seed: int) -> Values:
    """A trend, twelve uneven months, and noise."""
    rng, t = np.random.default_rng(seed), np.arange(length)
    year = np.array([0.0, -3, 4, 1, 7, -6, 2, 9, -8, 3, -1, 5])
    values: Values = 50 + 0.1 * t + year[t % YEAR] + rng.normal(0, 0.5, length)
    return values[:, None]


def passengers(length: int, seed: int) -> Values:
    """Months that swing in proportion to what they have grown to."""
    rng, t = np.random.default_rng(seed), np.arange(length)
    values: Values = np.exp(5 + 0.01 * t + months(length, seed)[:, 0] / 40 + rng.normal(0, 0.02, length))
    return values[:, None]


def mean_error(series: Values, length: int, *, season: int = 0) -> tuple[float, float]:
    """Of a forecast of a year, and of the year before."""
    found = fitted(series[:length], YEAR, season=season).forecast
    truth = series[length : length + YEAR]
    return float(np.abs(found - truth).mean()), float(np.abs(series[length - YEAR : length] - truth).mean())


@pytest.mark.parametrize("series", [months, passengers])
def test_trend_and_season_are_forecast_better_than_by_the_year_before(series: object) -> None:
    errors = np.array([mean_error(series(144, seed), 132) for seed in range(6)])  # type: ignore[operator]
    own, naive = errors.mean(axis=0)
    assert own < 0.8 * naive


def test_changes_are_chosen_where_there_is_a_trend() -> None:
    choice = fitted(months(144, 0), YEAR).choice
    assert choice.lag in {1, YEAR}
    assert choice.season == YEAR


def test_logarithms_are_chosen_where_swings_grow_with_the_level() -> None:
    found = [fitted(passengers(144, seed), YEAR) for seed in range(5)]
    assert sum(one.choice.logarithm for one in found) >= 3
    assert all((one.forecast > 0).all() for one in found)


def test_a_random_walk_goes_on_near_its_last_value() -> None:
    errors = []
    for seed in range(8):
        walk = np.random.default_rng(seed).normal(size=(170, 1)).cumsum(axis=0)
        found = fitted(walk[:160], 10).forecast
        errors.append((np.abs(found - walk[160:]).mean(), np.abs(walk[159] - walk[160:]).mean()))
    own, last = np.mean(errors, axis=0)
    assert own < 1.3 * last


def test_noise_goes_on_at_its_mean() -> None:
    errors = []
    for seed in range(8):
        noise = 7 + np.random.default_rng(seed).normal(size=(170, 1))
        found = fitted(noise[:160], 10).forecast
        errors.append((np.abs(found - noise[160:]).mean(), np.abs(7 - noise[160:]).mean()))
    own, mean = np.mean(errors, axis=0)
    assert own < 1.3 * mean


def test_a_short_history_is_forecast() -> None:
    own, naive = np.mean([mean_error(months(72, seed), 60, season=YEAR) for seed in range(6)], axis=0)
    assert own < naive


def test_what_ends_below_zero_has_no_logarithms() -> None:
    values = passengers(144, 0)
    values[-5:] -= 10_000
    found = fitted(values, YEAR)
    assert not found.choice.logarithm
    assert np.isfinite(found.forecast).all()


@pytest.mark.parametrize("values", [2.0 * T + 1, np.tile([1.0, 5.0, -2.0, 0.5], 40)[:, None]], ids=["line", "wheel"])
def test_what_has_no_noise_at_all_goes_on_as_it_was(values: Values) -> None:
    found = fitted(values[:150], 10)
    np.testing.assert_allclose(found.forecast, values[150:], atol=1e-2)


def test_a_given_season_is_the_one_that_is_tried() -> None:
    values = months(144, 0)
    assert fitted(values, 3, season=7).choice.season == 7
    none = fitted(values, 3, season=1).choice
    assert none.season == 1
    assert none.lag in {0, 1}


@pytest.mark.parametrize("series", [months, passengers])
def test_changes_go_on_in_blocks_as_they_would_at_once(series: object) -> None:
    values = series(150, 1)  # type: ignore[operator]
    whole, first = fitted(values, 40), fitted(values, 17)
    assert whole.choice == first.choice
    assert whole.choice.lag > 0
    net = build_net(FORECASTER.net, {**FORECASTER.options, "units": 100}).eval().requires_grad_(requires_grad=False)
    rest = torch.zeros(1, 23, 0, dtype=torch.float64)
    second, _ = TASKS["continue"].forward(net, [first.memory, first.weights, rest], FORECASTER)
    assert np.concatenate([first.forecast, second[0].numpy()]).tolist() == whole.forecast.tolist()


def test_a_series_without_noise_is_forecast_as_it_is() -> None:
    series = mackey_glass(560, seed=4)
    found = fitted(series[:500], 60)
    assert found.choice.lag == 0
    assert np.abs(found.forecast - series[500:]).max() < 0.1


def test_what_is_not_heard_again_is_not_differenced() -> None:
    values, inputs = narma10(630)
    net = build_net(DRIVEN.net, DRIVEN.options).eval().requires_grad_(requires_grad=False)
    tensors = [torch.from_numpy(values[:600].copy())[None], torch.from_numpy(inputs)[None]]
    forecast, *_, choice = Fit(season=12).forward(net, tensors, DRIVEN)
    assert Choice.read(choice[0].numpy())[:2] == (0, False)
    assert np.abs(forecast[0].numpy() - values[600:]).mean() < 0.05


def test_a_choice_is_told_in_words() -> None:
    assert Choice(12, logarithm=True, penalty=0.1, season=12).words() == {
        "difference": "seasonal",
        "logarithm": True,
        "season": 12,
        "penalty": 0.1,
    }
    assert Choice(1).words() == {"difference": "first", "logarithm": False, "season": None, "penalty": None}
    assert Choice().words()["difference"] == "none"


def test_the_interval_of_logarithms_is_wider_above() -> None:
    low, high = Choice(1, logarithm=True).ends(np.array([[8.0]]), np.array([[math.log(2)]]))
    assert [low.item(), high.item()] == pytest.approx([4, 16])
    assert Choice(1, logarithm=True).off(np.array([math.log(2)]), np.array([8.0])).item() == pytest.approx(8)
    low, high = Choice(1).ends(np.array([[8.0]]), np.array([[1.0]]))
    assert (low.item(), high.item()) == (7, 9)
