"""NARMA-10: Atiya & Parlos, New results on recurrent network training, IEEE Trans. Neural Networks 11(3), 2000."""

from itertools import count
from pathlib import Path

import numpy as np

from service.datasets.publication import Part
from service.datasets.series import Series, SeriesSource, Values

WASHOUT = 200
LENGTH = WASHOUT + 2000
SEEDS: dict[Part, int] = {"train": 0, "test": 1}
ORDER = 10
BOUND = 1.0
"""A run that leaves this is one of the few that diverge; it is drawn again."""


def narma10(length: int, *, seed: int = 0) -> tuple[Values, Values]:
    """The answer y (length, 1) and the input u ~ U[0, ½] (length, 1) that drives it.

    y(t) = 0.3·y(t−1) + 0.05·y(t−1)·Σ_{i=1..10} y(t−i) + 1.5·u(t−9)·u(t) + 0.1: the paper's y(t+1) stands beside the
    u(t) that makes it.
    """
    for attempt in count():
        u = np.random.default_rng([seed, attempt]).uniform(0, 0.5, length + ORDER)
        y = [0.0] * ORDER
        for t in range(ORDER, len(u)):
            y.append(0.3 * y[-1] + 0.05 * y[-1] * sum(y[-ORDER:]) + 1.5 * float(u[t - 9] * u[t]) + 0.1)
            if y[-1] > BOUND:
                break
        else:
            break
    return np.array(y[ORDER:])[:, None], u[ORDER:, None]


def _read(_data_dir: Path, part: Part) -> Series:
    return Series(*narma10(LENGTH, seed=SEEDS[part]))


NARMA10 = SeriesSource("narma-10", ("y",), ("u",), _read)
