"""How often the intervals hold what they promise: simulated coverage of every metric that gives one.

    python benchmarks/coverage.py [--repeats 200] [--metrics fid,kid] [--settings gaussian,skewed]

Both sets are drawn anew for every repeat. An interval for an expectation is checked against the mean score over all
repeats and as many others, one for a population value against the truth or the metric at many more samples. A nominal
95 % interval should cover in 90 to 99 % of the repeats. `ratio` is the mean standard error over the scores' true one.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.metrics.fid import fid
from service.metrics.metric import Metric, Side
from service.metrics.mmd import MMD, median_distance
from service.metrics.registry import METRICS, build_metric
from service.metrics.uncertainty import POPULATION, Interval

Real = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Real]

CLASSES = 10
LARGE = 20_000


def gaussian(rng: np.random.Generator, n: int, d: int, *, shift: float = 0.0, scale: float = 1.0) -> Real:
    """Independent normal dimensions."""
    return shift + scale * rng.standard_normal((n, d))


def skewed(rng: np.random.Generator, n: int, d: int, *, scale: float = 1.0) -> Real:
    """Independent log-normal dimensions."""
    return scale * np.exp(0.7 * rng.standard_normal((n, d)))


def rectified(rng: np.random.Generator, n: int, d: int, *, shift: float = 0.2) -> Real:
    """What a network's features look like: four factors and noise, cut off at 0."""
    factors = np.random.default_rng(9).standard_normal((4, d))
    mixed: Real = rng.standard_normal((n, 4)) @ factors + 0.5 * rng.standard_normal((n, d)) + shift
    return np.maximum(mixed, 0.0)


def heavy(rng: np.random.Generator, n: int, d: int, *, freedom: float = 3.0, scale: float = 1.0) -> Real:
    """Independent dimensions of Student's t."""
    return scale * rng.standard_t(freedom, (n, d))


def clustered(rng: np.random.Generator, n: int, d: int, *, modes: int = 8) -> Real:
    """Normal clouds about eight centres, of which a poor generator reaches the first few."""
    centres = 3 * np.random.default_rng(8).standard_normal((8, d))
    return centres[rng.integers(modes, size=n)] + rng.standard_normal((n, d))


def bounded(rng: np.random.Generator, n: int, d: int, *, power: float = 1.0) -> Real:
    """Shares between 0 and 1 that depend on each other through their row's own level."""
    level = rng.random((n, 1))
    return np.clip(level + 0.3 * (rng.random((n, d)) - 0.5), 0.0, 1.0) ** power


@dataclass(frozen=True, slots=True)
class Setting:
    """Two distributions and the sizes of the samples."""

    real: Draw
    generated: Draw
    n: int
    m: int
    d: int

    def sides(self, rng: np.random.Generator, n: int | None = None, m: int | None = None) -> tuple[Side, Side]:
        """A draw of both, with class probabilities made of the same features."""
        return (
            _side(self.real(rng, n or self.n, self.d), 2.4),
            _side(self.generated(rng, m or self.m, self.d), 2.0),
        )


SETTINGS = {
    "gaussian": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.2, scale=1.1), 300, 300, 16),
    "equal": Setting(gaussian, gaussian, 300, 300, 16),
    "skewed": Setting(skewed, lambda g, n, d: skewed(g, n, d, scale=1.15), 300, 300, 16),
    "rectified": Setting(rectified, lambda g, n, d: rectified(g, n, d, shift=0.4), 300, 300, 16),
    "unequal": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.2, scale=1.1), 400, 150, 16),
    "few": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.2, scale=1.1), 100, 100, 150),
}
HELD_OUT = {
    "wide": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.1, scale=1.05), 600, 600, 48),
    "wide equal": Setting(gaussian, gaussian, 500, 500, 40),
    "flat": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.3), 500, 500, 3),
    "skewed 2": Setting(skewed, lambda g, n, d: skewed(g, n, d, scale=1.1), 600, 400, 40),
    "network": Setting(rectified, lambda g, n, d: rectified(g, n, d, shift=0.3), 500, 500, 64),
    "network few": Setting(rectified, lambda g, n, d: rectified(g, n, d, shift=0.5), 200, 200, 300),
    "clustered": Setting(clustered, lambda g, n, d: clustered(g, n, d, modes=6), 500, 500, 24),
    "bounded": Setting(bounded, lambda g, n, d: bounded(g, n, d, power=1.2), 400, 600, 20),
    "heavy": Setting(heavy, lambda g, n, d: heavy(g, n, d, scale=1.1), 500, 500, 32),
    "heavy 5": Setting(
        lambda g, n, d: heavy(g, n, d, freedom=5), lambda g, n, d: heavy(g, n, d, freedom=5, scale=1.1), 500, 500, 32
    ),
    "fresh network": Setting(rectified, lambda g, n, d: rectified(g, n, d, shift=0.35), 700, 500, 32),
    "fresh normal": Setting(gaussian, lambda g, n, d: gaussian(g, n, d, shift=0.15, scale=0.9), 250, 350, 8),
    "fresh skewed": Setting(skewed, lambda g, n, d: skewed(g, n, d, scale=1.2), 350, 350, 24),
    "fresh heavy": Setting(
        lambda g, n, d: heavy(g, n, d, freedom=4), lambda g, n, d: heavy(g, n, d, freedom=4, scale=1.2), 400, 300, 20
    ),
}
"""Others than those with which the estimators' constants were chosen."""


def _side(features: Real, sharpness: float) -> Side:
    classes = np.random.default_rng(5).standard_normal((features.shape[1], CLASSES))
    logits = sharpness * (features - features.mean()) @ classes / np.linalg.norm(classes, axis=0)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Side(features=features, probabilities=p / p.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a simulation found."""

    covered: float
    ratio: float
    mean: float
    given: int
    """Repeats in which there was an interval at all."""


def simulate(name: str, setting: Setting, repeats: int, *, seed: int = 1, more: int | None = None) -> Coverage:
    """The coverage of one metric's intervals, whose estimand takes in `more` scores without an interval."""
    rng = np.random.default_rng(seed)
    metric = _metric(name, setting)
    scores = [metric.measure(*setting.sides(rng), intervals=True) for _ in range(repeats)]
    values = np.array([score.value for score in scores])
    intervals = [score.interval for score in scores if isinstance(score.interval, Interval)]
    if not intervals:
        return Coverage(0.0, 0.0, float(values.mean()), 0)
    if intervals[0].estimand.startswith(POPULATION):
        target = _population(name, metric, setting)
    else:
        others = [metric.measure(*setting.sides(rng)).value for _ in range(repeats if more is None else more)]
        target = float(np.mean([*values, *others]))
    covered = float(np.mean([interval.low <= target <= interval.high for interval in intervals]))
    errors = np.array([interval.standard_error for interval in intervals])
    ratio = float(np.sqrt(np.square(errors).mean()) / values.std(ddof=1))
    return Coverage(covered, ratio, float(values.mean()), len(intervals))


def _metric(name: str, setting: Setting) -> Metric:
    """The metric, with one bandwidth for all repeats."""
    if name != "mmd":
        return build_metric(name)
    bandwidth = median_distance(setting.real(np.random.default_rng(7), 2000, setting.d))
    return MMD(sigma=bandwidth, permutations=19)


def _population(name: str, metric: Metric, setting: Setting) -> float:
    rng = np.random.default_rng(11)
    if setting.real is setting.generated:
        return 0.0
    if name == "fid_infinity":
        real, generated = setting.sides(rng, 10 * LARGE, 10 * LARGE)
        assert real.features is not None
        assert generated.features is not None
        return fid(real.features, generated.features).value
    draws = [metric.measure(*setting.sides(rng, LARGE // 10, LARGE // 10)).value for _ in range(10)]
    return float(np.mean(draws))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--settings", default=",".join([*SETTINGS, *HELD_OUT]))
    asked = parser.parse_args()
    warnings.simplefilter("error")
    print(f"{'metric':<20}{'setting':<12}{'n':>5}{'m':>5}{'d':>5}{'mean':>10}{'covered':>9}{'ratio':>7}{'given':>7}")
    for name in asked.metrics.split(","):
        for key in asked.settings.split(","):
            setting = {**SETTINGS, **HELD_OUT}[key]
            found = simulate(name, setting, asked.repeats)
            sizes = f"{setting.n:>5}{setting.m:>5}{setting.d:>5}"
            row = f"{found.mean:>10.4f}{found.covered:>9.3f}{found.ratio:>7.2f}{found.given:>7}"
            print(f"{name:<20}{key:<12}{sizes}{row}", flush=True)


if __name__ == "__main__":
    main()
