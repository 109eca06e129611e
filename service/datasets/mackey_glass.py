"""The Mackey–Glass equation: Oscillation and chaos in physiological control systems, Science 197, 1977."""

from functools import partial
from pathlib import Path

import numpy as np

from service.datasets.publication import Part
from service.datasets.series import Series, SeriesSource, Values

BETA, GAMMA, POWER = 0.2, 0.1, 10
SUBSTEPS = 10
LENGTHS: dict[Part, int] = {"train": 3000, "test": 1000 + 100 * 84}
"""What Jaeger trained on, and what a hundred forecasts of 84 steps take."""
SEEDS: dict[Part, int] = {"train": 0, "test": 1}
TRANSIENT = 1000
"""Time units that are thrown away, until the motion is that of the attractor."""


def mackey_glass(length: int, *, delay: int = 17, seed: int = 0) -> Values:
    """The equation's x at times 1, 2, … on the attractor of dx/dt = β·x(t−τ)/(1 + x(t−τ)¹⁰) − γ·x, (length, 1).

    Runge–Kutta of fourth order, ten steps a time unit; the delayed value between two steps is their mean. The seed
    draws the constant history from 0.8 to 1.4.
    """
    h = 1 / SUBSTEPS
    lag = delay * SUBSTEPS
    steps = (TRANSIENT + length) * SUBSTEPS
    x = [float(np.random.default_rng(seed).uniform(0.8, 1.4))] * (lag + 1)
    for t in range(lag, lag + steps):
        now, first, last = x[t], x[t - lag], x[t - lag + 1]
        begin, middle, end = (BETA * y / (1 + y**POWER) for y in (first, (first + last) / 2, last))
        k1 = begin - GAMMA * now
        k2 = middle - GAMMA * (now + h / 2 * k1)
        k3 = middle - GAMMA * (now + h / 2 * k2)
        k4 = end - GAMMA * (now + h * k3)
        x.append(now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[-length * SUBSTEPS :: SUBSTEPS])[:, None]


def _read(_data_dir: Path, part: Part, *, delay: int) -> Series:
    return Series.of(mackey_glass(LENGTHS[part], delay=delay, seed=SEEDS[part]))


MACKEY_GLASS = SeriesSource("mackey-glass", ("x",), (), partial(_read, delay=17))
MACKEY_GLASS_30 = SeriesSource("mackey-glass-30", ("x",), (), partial(_read, delay=30))
