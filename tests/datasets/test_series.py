from pathlib import Path

import numpy as np
import pytest

from service.datasets.lorenz import LYAPUNOV, STEP, lorenz
from service.datasets.mackey_glass import mackey_glass
from service.datasets.narma10 import narma10
from service.datasets.publication import Part
from service.datasets.registry import SERIES, find_series
from service.datasets.waveforms import LENGTH, waveforms
from service.errors import DatasetMissing

PARTS: tuple[Part, ...] = ("train", "test")


@pytest.mark.parametrize("name", SERIES)
def test_a_series_is_what_its_source_says(name: str, tmp_path: Path) -> None:
    source = find_series(name)
    assert source.name == name
    for part in PARTS:
        series = source.load(tmp_path, part)
        assert series.values.shape == (len(series), len(source.channels))
        assert series.inputs.shape == (len(series), len(source.inputs))
        assert series.whole.shape == (len(series), len(source.channels) + len(source.inputs))
        assert np.isfinite(series.whole).all()


@pytest.mark.parametrize("name", [name for name in SERIES if name != "waveforms"])
def test_the_test_part_is_another_series(name: str, tmp_path: Path) -> None:
    train, test = (find_series(name).load(tmp_path, part) for part in PARTS)
    length = min(len(train), len(test))
    assert np.abs(train.values[:length] - test.values[:length]).mean() > 0.01


def test_the_mackey_glass_equation_holds_between_its_points() -> None:
    fine = mackey_glass(4000)[:, 0]
    # the derivative by central differences, of the right-hand side's mean over the two steps: Simpson's rule
    right = 0.2 * fine[17 - 17 : -17] / (1 + fine[:-17] ** 10) - 0.1 * fine[17:]
    simpson = (right[:-2] + 4 * right[1:-1] + right[2:]) / 3
    assert np.abs(fine[19:] - fine[17:-2] - simpson).max() < 2e-3


def test_a_longer_delay_makes_another_attractor() -> None:
    short, long = (mackey_glass(3000, delay=delay)[:, 0] for delay in (17, 30))
    assert short.std() == pytest.approx(0.226, abs=0.01)
    assert long.std() == pytest.approx(0.28, abs=0.02)


def test_two_lorenz_paths_part_as_the_exponent_says() -> None:
    path = lorenz(3000)
    step = lorenz(2999, seed=0)
    assert np.array_equal(path[:2999], step)
    assert np.abs(path.mean(axis=0)[:2]).max() < 3
    assert path[:, 2].mean() == pytest.approx(23.5, abs=1)
    assert pytest.approx(1.104, abs=0.001) == 1 / LYAPUNOV
    flow = (path[2:] - path[:-2]) / (2 * STEP)
    x, y, z = path[1:-1].T
    assert np.abs(flow[:, 0] - 10 * (y - x)).max() < 5
    assert np.abs(flow[:, 2] - (x * y - 8 / 3 * z)).mean() < 1


def test_narma_answers_to_its_input_as_the_recursion_says() -> None:
    y, u = (part[:, 0] for part in narma10(500, seed=3))
    for t in range(10, 500):
        expected = 0.3 * y[t - 1] + 0.05 * y[t - 1] * y[t - 10 : t].sum() + 1.5 * u[t - 9] * u[t] + 0.1
        assert y[t] == pytest.approx(expected, abs=1e-12)
    assert u.min() >= 0
    assert u.max() <= 0.5


def test_waveforms_lie_between_their_bounds_and_differ() -> None:
    waves = waveforms()
    assert waves.shape == (LENGTH, 5)
    assert np.abs(waves).max(axis=0).tolist() == [1.0] * 5
    correlation = np.corrcoef(waves.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.7


@pytest.mark.parametrize("generate", [mackey_glass, lorenz, lambda n, seed: narma10(n, seed=seed)[0]])
def test_a_seed_means_the_same_series_again(generate: object) -> None:
    assert callable(generate)
    first, again, other = generate(50, seed=1), generate(50, seed=1), generate(50, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_series_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DatasetMissing, match=r"'sunspots'; there are lorenz, .*\.csv or \.json"):
        find_series("sunspots")
