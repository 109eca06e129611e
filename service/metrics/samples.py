"""What a set must be before it is measured: checked here, ahead of any linear algebra.

LAPACK given a NaN may crash the process or return a plausible number, so nothing passes unchecked.
"""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples

Rows = NDArray[Any]
Real = NDArray[np.float64]

LARGEST = 1e60  # fourth powers of features, the largest numbers a metric forms, stay finite below it
BLOCK_ROWS = 1024


def check_features(features: Rows, whose: str, *, fewest: int = 2) -> None:
    """Refuse features that are not (n ≥ `fewest`, d ≥ 1) finite real numbers. Raises InvalidSamples."""
    if features.ndim != 2 or features.shape[1] == 0:
        raise InvalidSamples(f"The {whose} features have shape {features.shape}; (samples, dimensions) is needed.")
    if features.dtype.kind not in "fiu":
        raise InvalidSamples(f"The {whose} features are {features.dtype}; real numbers are needed.")
    if len(features) < fewest:
        raise InvalidSamples(f"The {whose} set has {len(features)} sample(s); at least {fewest} are needed.")
    _check_numbers(features, f"{whose} features")


def check_pair(real: Rows, generated: Rows) -> None:
    """Refuse two sets of features that cannot be compared. Raises InvalidSamples."""
    check_features(real, "reference")
    check_features(generated, "generated")
    check_dimensions(real.shape[1], generated.shape[1])


def check_dimensions(real: int, generated: int) -> None:
    """Refuse features of different extractors. Raises InvalidSamples."""
    if real != generated:
        raise InvalidSamples(
            f"The reference features have {real} dimensions, the generated ones {generated}; they must be equal."
        )


def check_covariance(mean: Real, covariance: Real, whose: str) -> None:
    """Refuse a mean and covariance that are not (d,) and symmetric (d, d) finite numbers. Raises InvalidSamples."""
    if mean.ndim != 1 or mean.size == 0 or covariance.shape != (mean.size, mean.size):
        raise InvalidSamples(
            f"The {whose} statistics have shapes {mean.shape} and {covariance.shape}; (d) and (d, d) are needed."
        )
    _check_numbers(mean[None], f"{whose} mean")
    _check_numbers(covariance, f"{whose} covariance")
    scale = float(np.abs(covariance).max())
    if float(np.abs(covariance - covariance.T).max()) > 1e-5 * scale:
        raise InvalidSamples(f"The {whose} covariance is not symmetric.")
    if float(covariance.diagonal().min()) < -1e-5 * scale:
        raise InvalidSamples(f"The {whose} covariance has a negative variance.")


def checked_probabilities(probabilities: Rows, whose: str) -> Real:
    """Probabilities (n, classes) in float64, each row divided by its sum.

    Raises InvalidSamples for a row that is negative or whose sum is further than 0.01 from one.
    """
    check_features(probabilities, whose, fewest=1)
    p = probabilities.astype(np.float64)
    sums = p.sum(axis=1, keepdims=True)
    wrong = (p < 0).any(axis=1) | (np.abs(sums[:, 0] - 1) > 0.01)
    if wrong.any():
        raise InvalidSamples(f"Row {int(wrong.argmax())} of the {whose} probabilities is not a distribution.")
    normalised: Real = p / sums
    return normalised


def softmax(logits: Rows, whose: str) -> Real:
    """Probabilities (n, classes) in float64 of logits. Raises InvalidSamples where they are not finite."""
    check_features(logits, f"{whose} logits'", fewest=1)
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    normalised: Real = p / p.sum(axis=1, keepdims=True)
    return normalised


def take(rows: Rows, chosen: NDArray[np.intp]) -> Rows:
    """These rows; those of a set that lies on disk are copied to a file beside it, not into memory."""
    if not isinstance(rows, np.memmap) or rows.filename is None:
        taken: Rows = rows[chosen]
        return taken
    with NamedTemporaryFile(dir=Path(rows.filename).parent) as file:
        mapped: Rows = np.memmap(file, rows.dtype, "w+", shape=(len(chosen), *rows.shape[1:]))
    for start in range(0, len(chosen), BLOCK_ROWS):
        mapped[start : start + BLOCK_ROWS] = rows[chosen[start : start + BLOCK_ROWS]]
    return mapped


def _check_numbers(rows: Rows, what: str) -> None:
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        known = block.size and float(block.min()) >= -LARGEST and float(block.max()) <= LARGEST  # a NaN is neither
        if not known:
            _name_the_wrong_row(block, start, what)


def _name_the_wrong_row(block: Rows, start: int, what: str) -> None:
    wide = block.astype(np.float64)
    wrong = ~(np.abs(wide) <= LARGEST).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        kind = f"beyond ±{LARGEST:.0e}" if np.isfinite(wide[row]).all() else "NaN or infinite"
        raise InvalidSamples(f"Row {start + row} of the {what} holds a number that is {kind}.")
