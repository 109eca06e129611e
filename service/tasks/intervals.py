"""How far a forecast may be off, from how far earlier ones were: split conformal prediction, Vovk et al., 2005."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Widths(NamedTuple):
    """Half the width of the interval at every step."""

    half: Numbers | None
    """(H, channels), never narrower than at the step before; None where nothing could be measured."""
    warnings: tuple[str, ...]


def half_widths(errors: Numbers, horizon: int, level: float) -> Widths:
    """From errors (starts, leads, channels) of earlier forecasts, what their share `level` stays within at each step.

    The rank is that of conformal prediction, ⌈(starts + 1)·level⌉. Steps beyond the measured ones go on with √time.
    """
    starts, leads, _ = errors.shape
    if starts == 0 or leads == 0:
        return Widths(None, ("the history is too short to measure how far forecasts of it are off: no interval",))
    warnings = []
    rank = math.ceil((starts + 1) * level)
    if rank > starts:
        warnings.append(f"the interval rests on {starts} earlier forecasts, too few for a level of {level:g}")
    ordered = np.sort(np.nan_to_num(errors, nan=np.inf), axis=0)
    half = np.stack([widening(channel) for channel in ordered[min(rank, starts) - 1].T], axis=1)  # (leads, channels)
    if horizon > leads:
        beyond = np.sqrt(np.arange(leads + 1, horizon + 1) / leads)[:, None]
        with np.errstate(over="ignore"):
            half = np.concatenate([half, half[-1] * beyond])
        warnings.append(f"beyond step {leads} the interval is extended with the root of time, not measured")
    half = half[:horizon]
    if not np.isfinite(half).all():
        warnings.append(f"earlier forecasts diverged: no interval from step {_first(~np.isfinite(half))} on")
    return Widths(half, tuple(warnings))


def widening(widths: Numbers) -> Numbers:
    """The closest widths (leads,) that never shrink: runs that would are pooled (Ayer et al., 1955)."""
    means: list[float] = []
    counts: list[int] = []
    for width in widths.tolist():
        means.append(width)
        counts.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            mean, count = means.pop(), counts.pop()
            counts[-1] += count
            means[-1] += (mean - means[-1]) * count / counts[-1] if np.isfinite(means[-1]) else 0.0
    return np.repeat(means, counts)


def _first(where: NDArray[np.bool_]) -> int:
    return int(where.any(axis=1).argmax()) + 1
