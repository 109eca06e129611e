"""What anybody would say without a model: the last value, a line, the season before; and how far off that was."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LAST, DRIFT, SEASONAL = "last_value", "drift", "seasonal_naive"
NAMES = {LAST: "the last value", DRIFT: "a line from the first to the last value", SEASONAL: "the season before"}


def naive_misses(values: Values, starts: Values, leads: int, season: int) -> dict[str, Values]:
    """How far off naive forecasts of values (T, channels) from some points are on average, (channels,) each.

    Starts count from 1; a season of 1 is none.
    """
    after, lead = starts.astype(int)[:, None], np.arange(leads)
    truth = values[after + lead]  # (starts, leads, channels)
    last, first = values[np.maximum(after - 1, 0)], values[:1]
    slope = (last - first) / np.maximum(after - 1, 1)[..., None]
    said = {LAST: last, DRIFT: last + slope * (1 + lead)[:, None]}
    if season > 1 and (starts >= season).all():
        said[SEASONAL] = values[after - season + lead % season]
    return {name: np.abs(values - truth).mean(axis=(0, 1)) for name, values in said.items()}


def better_than(own: Values, naive: dict[str, Values], scale: Values) -> str | None:
    """The naive forecast that misses least, a mean over channels in units of `scale`, if by less than one's own."""
    sizes = {name: float((missed / scale).mean()) for name, missed in naive.items()}
    best = min(sizes, key=lambda name: sizes[name])
    return None if float((own / scale).mean()) <= sizes[best] else best  # what diverged is worse than anything
