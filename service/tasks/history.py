"""A history as a caller sends it, as arrays that a forecaster can be given; or what is wrong with it, and where."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSeries
from service.store import SeriesSpec

Values = NDArray[np.float64]

FITTED_LEAST = 60
FITTED_MOST = 10_000
"""Steps that a readout is fitted to: the last ones."""
CHOOSING = 0.25
HELD_OUT_LEAST, HELD_OUT_MOST = 75, 0.4
"""Share of a history, its end, by which it is chosen how a readout is fitted; and where earlier forecasts of it are
measured, which takes so many steps or that much of a history."""
SEASONS_LEAST = 4
"""Seasons that a history must have for one of them to be taken from the next."""
CHANNELS_LIMIT = 64
PLACES_NAMED = 5
LOOKED_AT_FIRST = 1000


class PreparedSeries(NamedTuple):
    """What a forecast begins with."""

    values: Values
    """(T, channels): the last steps, as many as are read."""
    inputs: Values
    """(T + H, inputs)."""
    warnings: tuple[str, ...]


def read_table(name: str, rows: Sequence[Any]) -> Values:
    """Values (T, columns) of a list of numbers or of lists of numbers. Raises InvalidSeries naming the faults."""
    try:
        table = np.asarray(rows)
    except ValueError:
        raise InvalidSeries.of_field(name, "every step needs as many values as the first.") from None
    if table.ndim not in (1, 2) or table.size == 0:
        raise InvalidSeries.of_field(name, "a list of numbers is needed, or a list of lists of numbers, time first.")
    if table.ndim == 1:
        table = table[:, None]
    if table.dtype == object:
        table = np.where(table == np.array(None), np.nan, table)
    try:
        numbers = table.astype(np.float64, copy=False) if table.dtype.kind in "ifuO" else None
    except (TypeError, ValueError, OverflowError):
        numbers = None
    if numbers is None or _has_truths(rows):
        raise InvalidSeries.of_field(name, "something in it is no number.")
    _refuse_missing(name, numbers)
    return numbers


def _has_truths(rows: Sequence[Any]) -> bool:
    """Whether a list has `true` or `false` among its numbers, which numpy counts as 1 and 0."""
    if isinstance(rows, np.ndarray):
        return False
    return any(isinstance(value, bool) for row in rows for value in (row if isinstance(row, list | tuple) else (row,)))


def prepare_known(values: Values, inputs: Values, spec: SeriesSpec) -> PreparedSeries:
    """A history for a model as it was trained. Raises InvalidSeries unless it is a series of that kind, long enough."""
    if values.shape[1] != len(spec.channels):
        raise InvalidSeries.of_field(
            "history",
            f"the model's series has {len(spec.channels)} channels ({', '.join(spec.channels)}),"
            f" not {values.shape[1]}.",
        )
    _require_inputs(inputs, spec)
    if len(values) < max(1, spec.washout):
        raise InvalidSeries.of_field(
            "history", f"{len(values)} steps are too few; after {spec.washout} the net has forgotten its beginning."
        )
    if spec.memorised is not None:
        warnings = _beyond_memory(len(values), len(inputs), spec.memorised)
    else:
        warnings = [_constant(channel) for channel in _constants(values)]
    return _last(values, inputs, spec.context, warnings)


def prepare_fitted(values: Values, inputs: Values, spec: SeriesSpec, *, season: int = 0) -> PreparedSeries:
    """A history to fit a readout to. Raises InvalidSeries where it is too short, too wide, too large or constant.

    Or where the season that is given does not come often enough to learn it.
    """
    if spec.inputs and not inputs.shape[1]:
        raise InvalidSeries.of_field("inputs", "this model hears nothing else; they are needed for every step.")
    if values.shape[1] + inputs.shape[1] > CHANNELS_LIMIT:
        raise InvalidSeries.of_field("history", f"at most {CHANNELS_LIMIT} channels and inputs are fitted together.")
    if len(values) < FITTED_LEAST:
        raise InvalidSeries.of_field(
            "history", f"{len(values)} steps are too few to fit to; {FITTED_LEAST} are the least."
        )
    if season * SEASONS_LEAST > min(len(values), FITTED_MOST):
        raise InvalidSeries.of_field(
            "season",
            f"{season} steps are too many for a history of {len(values):,}; {SEASONS_LEAST} seasons are the least.",
        )
    if constants := _constants(values[: len(values) - int(len(values) * CHOOSING)]):
        raise InvalidSeries.of_field(
            "history", f"{_constant(constants[0])} before its last quarter; there is nothing to learn."
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(np.square(values).sum()):
            raise InvalidSeries.of_field("history", "its values are too large to square; give it in other units.")
    return _last(values, inputs, FITTED_MOST, [])


def held_out_of(length: int) -> int:
    """How many steps of a history of this length are held out first."""
    return max(int(CHOOSING * length), min(HELD_OUT_LEAST, int(HELD_OUT_MOST * length)))


def _refuse_missing(name: str, numbers: Values) -> None:
    if np.isfinite(numbers).all():
        return
    missing = np.flatnonzero(~np.isfinite(numbers).all(axis=1)) + 1
    if len(missing):
        places = ", ".join(map(str, missing[:PLACES_NAMED])) + (", …" if len(missing) > PLACES_NAMED else "")
        raise InvalidSeries.of_field(name, f"a value is missing or not finite at step {places}; fill the gaps first.")


def _require_inputs(inputs: Values, spec: SeriesSpec) -> None:
    if inputs.shape[1] != len(spec.inputs):
        named = f" ({', '.join(spec.inputs)})" if spec.inputs else ""
        raise InvalidSeries.of_field(
            "inputs", f"the model needs {len(spec.inputs)}{named} for every step, not {inputs.shape[1]}."
        )


def _constants(values: Values) -> list[int]:
    """The channels that never change; of long series those alone are looked at that do not change at first."""
    suspects = np.flatnonzero((values[:LOOKED_AT_FIRST] == values[0]).all(axis=0)).tolist()
    return [channel for channel in suspects if (values[:, channel] == values[0, channel]).all()]


def _constant(channel: int) -> str:
    return f"channel {channel} never changes"


def _beyond_memory(length: int, end: int, memorised: int) -> list[str]:
    if length > memorised:
        raise InvalidSeries.of_field("history", f"the model knows {memorised} steps by heart, and {length} are over.")
    return [f"what follows step {memorised} is not what the model learnt"] if end > memorised else []


def _last(values: Values, inputs: Values, limit: int, warnings: list[str]) -> PreparedSeries:
    dropped = max(0, len(values) - limit)
    if dropped:
        warnings = [*warnings, f"only the last {limit:,} of {len(values):,} steps are used"]
    return PreparedSeries(values[dropped:], inputs[dropped:], tuple(warnings))
