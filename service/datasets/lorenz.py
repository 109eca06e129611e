"""The Lorenz system: Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20(2), 1963."""

from pathlib import Path

import numpy as np

from service.datasets.publication import Part
from service.datasets.series import Series, SeriesSource, Values

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
STEP = 0.02
LYAPUNOV = 0.9056
"""The largest Lyapunov exponent: an error grows by a factor e in 1/0.9056 units of time."""
LENGTHS: dict[Part, int] = {"train": 5000, "test": 1000 + 51 * 750}
"""Enough for fifty forecasts of thirteen Lyapunov times in the test part."""
SEEDS: dict[Part, int] = {"train": 0, "test": 1}
TRANSIENT = 1000
"""Steps that are thrown away, until the motion is that of the attractor."""


def lorenz(length: int, *, seed: int = 0) -> Values:
    """x, y, z every 0.02 units of time on the attractor, (length, 3); Runge–Kutta of fourth order.

    The seed draws the starting point near (1, 1, 1).
    """
    state = np.random.default_rng(seed).normal(1.0, 0.5, 3)
    path = np.empty((TRANSIENT + length, 3))
    for t in range(len(path)):
        k1 = _flow(state)
        k2 = _flow(state + STEP / 2 * k1)
        k3 = _flow(state + STEP / 2 * k2)
        k4 = _flow(state + STEP * k3)
        state = path[t] = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path[TRANSIENT:]


def _flow(state: Values) -> Values:
    x, y, z = state.tolist()
    return np.array([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])


def _read(_data_dir: Path, part: Part) -> Series:
    return Series.of(lorenz(LENGTHS[part], seed=SEEDS[part]), step=STEP)


LORENZ = SeriesSource("lorenz", ("x", "y", "z"), (), _read)
