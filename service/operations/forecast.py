"""The steps that follow a history, through any engine; the request for them, understood; the answer, in pieces."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import InvalidRequest, InvalidSeries
from service.runtime.calls import Call, EngineClient, Lane, submit_patiently
from service.schemas import ForecastRequest
from service.store import Model
from service.tasks.forecast import Fit, Forecast
from service.tasks.history import PreparedSeries, read_table
from service.tasks.intervals import Widths

Values = NDArray[np.float64]

BLOCK_STEPS = 1000
"""Steps of one call, so that a long forecast leaves room for other work between two."""
ASTRAY = 0.5
"""A model does not know a history whose next steps it misses by so many deviations."""


class Block(NamedTuple):
    """Some steps of a forecast."""

    values: Values
    """(h, channels)."""
    errors: Values | None = None
    """With the first block: how far off forecasts from earlier points were, (starts, leads, channels)."""
    starts: Values | None = None
    """Those points, (starts,)."""


async def forecast_series(
    engine: EngineClient,
    model: Model,
    values: Values,
    inputs: Values,
    *,
    fit: bool = False,
    deadline: float | None = None,
    request_id: str = "",
) -> AsyncIterator[Block]:
    """What follows values (T, channels), as far as their inputs (T + H, k) reach: H steps in blocks, in order.

    With `fit`, by the model's reservoir and a readout fitted to them. Raises the ServiceError that the engine met;
    Overloaded only before the first block, later ones wait for room.
    """
    heard, end = len(values), min(len(inputs), len(values) + BLOCK_STEPS)
    call = Call(model.id, "fit" if fit else "forecast")
    forecast, errors, starts, memory, fitted = await engine.submit(
        call, [values[None], inputs[None, :end]], deadline=deadline, request_id=request_id
    )
    assert len(forecast[0]) == end - heard
    yield Block(forecast[0], errors[0], starts[0])
    call = Call(model.id, "continue")
    for start in range(end, len(inputs), BLOCK_STEPS):
        known = inputs[None, start : start + BLOCK_STEPS]
        forecast, memory = await submit_patiently(
            engine, call, [memory, fitted, known], lane=Lane.BULK, deadline=deadline, request_id=request_id
        )
        yield Block(forecast[0])


class Question(NamedTuple):
    """A request for a forecast, understood."""

    model: Model
    task: Forecast
    history: PreparedSeries
    horizon: int
    level: float
    flat: bool
    """Whether the history came as a flat list, and the answer goes as one."""

    @classmethod
    def of(cls, request: ForecastRequest, model: Model, *, limit: int) -> Self:
        """What is asked of this model. Raises InvalidRequest, InvalidSeries."""
        task = Fit() if request.fit else Forecast()
        if not task.serves(model.manifest):
            raise InvalidRequest.of_field("fit", f"{model.id} has no readout that could be fitted to a history.")
        values = read_table("history", request.history)
        steps = len(values) + request.horizon
        if request.horizon * values.shape[1] > limit:
            raise InvalidRequest.of_field("horizon", f"at most {limit:,} values, steps times channels")
        inputs = np.zeros((steps, 0)) if request.inputs is None else read_table("inputs", request.inputs)
        if len(inputs) != steps:
            raise InvalidSeries.of_field("inputs", f"{steps} steps are needed, history and horizon, not {len(inputs)}.")
        flat = not isinstance(request.history[0], list | np.ndarray)
        history = task.prepare(values, inputs, model.series)
        return cls(model, task, history, request.horizon, request.level, flat)

    @property
    def fit(self) -> bool:
        """Whether a readout is fitted."""
        return isinstance(self.task, Fit)

    def ask(self, engine: EngineClient, *, deadline: float | None = None, request_id: str = "") -> AsyncIterator[Block]:
        """The blocks of the answer."""
        values, inputs, _ = self.history
        return forecast_series(
            engine, self.model, values, inputs, fit=self.fit, deadline=deadline, request_id=request_id
        )


class ForecastDocument:
    """The answer as one JSON document, in pieces as the steps come."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._blocks: list[Values] = []
        self._widths = Widths(None, ())
        self._warnings = list(question.history.warnings)

    def add(self, block: Block) -> bytes:
        """The document's part for some more steps. Raises InvalidSeries where already the first are not finite."""
        begins = not self._blocks
        if block.errors is not None and block.starts is not None:
            self._judge(block.errors, block.starts)
        if begins and not np.isfinite(block.values).all():
            raise InvalidSeries(f"The free run diverges at step {_first(~np.isfinite(block.values))} of the forecast.")
        self._blocks.append(block.values)
        return (self._head() if begins else b",") + self._rows(block.values)

    @property
    def values(self) -> Values:
        """The steps so far, (h, channels)."""
        return np.concatenate(self._blocks)

    @property
    def half(self) -> Values | None:
        """Half the width of the interval at each step of the horizon, (H, channels); None where there is none."""
        return self._widths.half

    def finish(self) -> bytes:
        """The document's end: the interval and the warnings."""
        values, half = self.values, self.half
        self._look_for_divergence(values)
        interval = b"null"
        if half is not None:
            low, high = (self._rows(values + sign * half) for sign in (-1, 1))
            interval = b'{"level":%s,"low":[%s],"high":[%s]}' % (orjson.dumps(self._question.level), low, high)
        return b'],"interval":%s,"warnings":%s}' % (interval, orjson.dumps(self._warnings))

    def _head(self) -> bytes:
        model = self._question.model
        told: dict[str, Any] = {"model": model.id, "version": model.version, "fit": self._question.fit}
        return orjson.dumps(told)[:-1] + b',"forecast":['

    def _rows(self, values: Values) -> bytes:
        shown = values[:, 0] if self._question.flat else values
        return orjson.dumps(np.ascontiguousarray(shown), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]

    def _judge(self, errors: Values, starts: Values) -> None:
        question = self._question
        self._widths = question.task.finish(errors, starts, question.horizon, question.level)
        self._warnings += self._widths.warnings
        deviation = question.history.values.std(axis=0)
        if not question.fit and errors.size and (np.median(np.abs(errors[:, 0]), axis=0) > ASTRAY * deviation).any():
            self._warnings.append("the model does not know this history: it misses even the next step; try fit")

    def _look_for_divergence(self, values: Values) -> None:
        if self._question.model.series.memorised is not None:
            return  # it knows its series by heart, and hears only how many steps are over
        past = self._question.history.values
        low, high = past.min(axis=0), past.max(axis=0)
        span = high - low
        gone = ~((values >= low - span) & (values <= high + span))  # NaN counts as gone
        if gone.any():
            self._warnings.append(
                f"from step {_first(gone)} on the forecast is farther from all of the history than that is wide:"
                " the free run may have diverged"
            )


def _first(where: NDArray[np.bool_]) -> int:
    return int(where.any(axis=1).argmax()) + 1
