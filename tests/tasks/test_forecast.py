from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from service.datasets.lorenz import lorenz
from service.datasets.mackey_glass import mackey_glass
from service.nets.registry import build_net
from service.settings import Settings
from service.store import Manifest, Model
from service.tasks.forecast import STARTS, spread_starts
from service.tasks.registry import TASKS

Values = NDArray[np.float64]
FORECASTER: Manifest = Model(Settings().shipped_models_dir / "esn-mackey-glass").manifest


SMALL = {**FORECASTER.options, "units": 100}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Matrices this small are not worth a second thread, which on a busy machine takes longer to come than to work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_walk(length: int, seed: int) -> Values:
    return np.random.default_rng(seed).normal(size=(length, 1)).cumsum(axis=0)


def first_order(length: int, seed: int) -> Values:
    rng, x = np.random.default_rng(seed), [0.0]
    for _ in range(length + 100):
        x.append(0.9 * x[-1] + rng.normal())
    return np.array(x[-length:])[:, None]


def second_order(length: int, seed: int) -> Values:
    rng, x = np.random.default_rng(seed), [0.0, 0.0]
    for _ in range(length + 100):
        x.append(1.6 * x[-1] - 0.8 * x[-2] + rng.normal())
    return np.array(x[-length:])[:, None]


def noisy_sine(length: int, seed: int) -> Values:
    rng = np.random.default_rng(seed)
    wave: Values = np.sin(np.arange(length) / 4 + rng.uniform(0, 6)) + rng.normal(0, 0.2, length)
    return wave[:, None]


def noisy_seasons(length: int, seed: int) -> Values:
    rng, t = np.random.default_rng(seed), np.arange(length)
    season: Values = 3 * np.sin(2 * np.pi * t / 24 + rng.uniform(0, 6)) + np.sin(2 * np.pi * t / 7.3)
    noisy: Values = 10 + season + rng.normal(0, 0.5, length)
    return noisy[:, None]


def trend_and_season(length: int, seed: int) -> Values:
    return noisy_seasons(length, seed) + 0.02 * np.arange(length)[:, None]


def fitted(values: Values, horizon: int) -> tuple[Values, Values]:
    """The forecast (H, c) of a readout fitted to all values, and half the width of its interval."""
    net = build_net(FORECASTER.net, SMALL).eval().requires_grad_(requires_grad=False)
    inputs = torch.zeros(1, len(values) + horizon, 0, dtype=torch.float64)
    with torch.inference_mode():
        forecast, errors, starts, *_ = TASKS["fit"].forward(net, [torch.from_numpy(values)[None], inputs], FORECASTER)
    half = TASKS["fit"].finish(errors[0].numpy(), starts[0].numpy(), horizon, 0.95).half  # type: ignore[attr-defined]
    return forecast[0].numpy(), half


@pytest.mark.parametrize(
    "series",
    [
        random_walk,
        first_order,
        second_order,
        noisy_sine,
        noisy_seasons,
        trend_and_season,
        lambda length, seed: mackey_glass(length, seed=seed),
        lambda length, seed: lorenz(length, seed=seed),
    ],
    ids=["random walk", "first order", "second order", "sine", "seasons", "trend and season", "Mackey-Glass", "Lorenz"],
)
def test_an_interval_of_95_percent_holds_85_to_99_percent_of_what_comes(
    series: Callable[[int, int], Values],
) -> None:
    inside = []
    for seed in range(20, 60):
        values = np.ascontiguousarray(series(550, seed))
        forecast, half = fitted(values[:500], 50)
        assert (np.diff(half, axis=0) >= 0).all()
        inside.append(np.abs(forecast - values[500:]) <= half)
    assert 0.85 <= np.mean(inside) <= 0.99


def test_intervals_of_a_chaotic_series_widen() -> None:
    _, half = fitted(np.ascontiguousarray(lorenz(2000, seed=3)), 200)
    assert (half[-1] > 20 * half[0]).all()


def test_a_fitted_net_goes_on_in_blocks_as_it_would_at_once() -> None:
    values = torch.from_numpy(mackey_glass(600))[None]
    net = build_net(FORECASTER.net, FORECASTER.options).eval().requires_grad_(requires_grad=False)
    nothing = torch.zeros(1, 700, 0, dtype=torch.float64)
    whole, *_ = TASKS["fit"].forward(net, [values, nothing], FORECASTER)
    first, _, _, memory, weights, _ = TASKS["fit"].forward(net, [values, nothing[:, :640]], FORECASTER)
    second, _ = TASKS["continue"].forward(net, [memory, weights, nothing[:, :60]], FORECASTER)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=0)


def test_a_history_without_room_is_forecast_without_errors() -> None:
    net = build_net(FORECASTER.net, FORECASTER.options).eval().requires_grad_(requires_grad=False)
    nothing = torch.zeros(1, 210, 0, dtype=torch.float64)
    values = torch.from_numpy(mackey_glass(201))[None]
    forecast, errors, starts, _, weights = TASKS["forecast"].forward(net, [values, nothing], FORECASTER)
    assert forecast.shape == (1, 9, 1)
    assert errors.shape == (1, 0, 0, 1)
    assert starts.shape == (1, 0)
    assert weights.shape == (1, 0)


def test_starts_are_spread_over_the_room_there_is() -> None:
    starts = spread_starts(100, 400, 50)
    assert (starts[0], starts[-1], len(starts)) == (100, 350, STARTS)
    assert spread_starts(100, 105, 2) == [100, 101, 102, 103]
    assert spread_starts(100, 102, 2) == [100]
    assert spread_starts(100, 101, 2) == []
    assert spread_starts(100, 400, 0) == []
