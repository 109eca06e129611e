"""Two halves of a test set: what is fitted on one is measured on the other."""

import numpy as np
from numpy.typing import NDArray

SEED = 0

Rows = NDArray[np.intp]


def halves(count: int) -> tuple[Rows, Rows]:
    """The numbers of the images of both halves, the same each time: in a permutation the first ones and the others."""
    order = np.random.default_rng(SEED).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])
