"""The steps that follow a history, through any engine; the request for them, understood; the answer, in pieces."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import InvalidRequest, InvalidSeries
from service.runtime.calls import Call, EngineClient, Lane, submit_patiently
from service.schemas import ForecastRequest
from service.store import Model
from service.tasks.choice import Choice
from service.tasks.forecast import Fit, Forecast
from service.tasks.history import PreparedSeries, read_table
from service.tasks.intervals import Widths
from service.tasks.naive import NAMES, SEASONAL, better_than, naive_misses

Values = NDArray[np.float64]

BLOCK_STEPS = 1000
"""Steps of one call, so that a long forecast leaves room for other work between two."""
CHANNELS_TOLD = 3
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
    choice: Choice | None = None
    """With the first block of a fit."""


async def forecast_series(
    engine: EngineClient,
    model: Model,
    values: Values,
    inputs: Values,
    *,
    fit: bool = False,
    season: int = 0,
    deadline: float | None = None,
    request_id: str = "",
) -> AsyncIterator[Block]:
    """What follows values (T, channels), as far as their inputs (T + H, k) reach: H steps in blocks, in order.

    With `fit`, by the model's reservoir and a readout fitted to them; a season of 0 is looked for. Raises the
    ServiceError that the engine met; Overloaded only before the first block, later ones wait for room.
    """
    heard, end = len(values), min(len(inputs), len(values) + BLOCK_STEPS)
    call = Call(model.id, "fit", options=(("season", season),)) if fit else Call(model.id, "forecast")
    forecast, errors, starts, memory, fitted, *chosen = await engine.submit(
        call, [values[None], inputs[None, :end]], deadline=deadline, request_id=request_id
    )
    assert len(forecast[0]) == end - heard
    yield Block(forecast[0], errors[0], starts[0], Choice.read(chosen[0][0]) if chosen else None)
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
        if request.season is not None and not request.fit:
            raise InvalidRequest.of_field("season", "it is used only where a readout is fitted; try fit.")
        task = Fit(season=request.season or 0) if request.fit else Forecast()
        if not task.serves(model.manifest):
            raise InvalidRequest.of_field("fit", f"{model.id} has no readout that could be fitted to a history.")
        values = read_table("history", request.history)
        steps = len(values) + request.horizon
        if request.horizon * values.shape[1] > limit:
            raise InvalidRequest.of_field("horizon", f"at most {limit:,} values, steps times channels")
        inputs = np.zeros((steps, 0)) if request.inputs is None else _known(request.inputs, steps)
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
            engine,
            self.model,
            values,
            inputs,
            fit=self.fit,
            season=self.task.season if isinstance(self.task, Fit) else 0,
            deadline=deadline,
            request_id=request_id,
        )


class ForecastDocument:
    """The answer as one JSON document, in pieces as the steps come."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._blocks: list[Values] = []
        self._widths = Widths(None, ())
        self._choice: Choice | None = None
        self._held_out: dict[str, Values | None] | None = None
        self._warnings = list(question.history.warnings)

    def add(self, block: Block) -> bytes:
        """The document's part for some more steps. Raises InvalidSeries where already the first are not finite."""
        begins = not self._blocks
        if block.errors is not None and block.starts is not None:
            self._choice = block.choice
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
    def ends(self) -> tuple[Values, Values] | None:
        """Both ends of the interval at each step so far, (h, channels); None where there is none."""
        half = self._widths.half
        return None if half is None else (self._choice or Choice()).ends(self.values, half[: len(self.values)])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to know of the whole forecast, once all of its steps are there."""
        return (*self._warnings, *self._divergence(self.values))

    def finish(self) -> bytes:
        """The document's end: the interval and the warnings."""
        interval = b"null"
        if self.ends is not None:
            low, high = map(self._rows, self.ends)
            interval = b'{"level":%s,"low":[%s],"high":[%s]}' % (orjson.dumps(self._question.level), low, high)
        told = {
            "choice": None if self._choice is None else self._choice.words(),
            "held_out": self._held_out,
            "warnings": self.warnings,
        }
        return b'],"interval":%s,%s' % (interval, orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)[1:])

    def _head(self) -> bytes:
        model = self._question.model
        told: dict[str, Any] = {"model": model.name, "version": model.version, "fit": self._question.fit}
        return orjson.dumps(told)[:-1] + b',"forecast":['

    def _rows(self, values: Values) -> bytes:
        shown = values[:, 0] if self._question.flat else values
        return orjson.dumps(np.ascontiguousarray(shown), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]

    def _judge(self, errors: Values, starts: Values) -> None:
        question, choice = self._question, self._choice or Choice()
        self._widths = question.task.finish(errors, starts, question.horizon, question.level, lag=choice.lag)
        self._warnings += self._widths.warnings
        deviation = question.history.values.std(axis=0)
        if not question.fit and errors.size and (np.median(np.abs(errors[:, 0]), axis=0) > ASTRAY * deviation).any():
            self._warnings.append("the model does not know this history: it misses even the next step; try fit")

        if errors.size and question.model.series.memorised is None:
            self._compare(choice, errors, starts)

    def _compare(self, choice: Choice, errors: Values, starts: Values) -> None:
        """With what anybody would have said at the same points without a model."""
        values, leads = self._question.history.values, errors.shape[1]
        truth = values[starts.astype(int)[:, None] + np.arange(leads)]
        with np.errstate(over="ignore", invalid="ignore"):
            own = np.abs(choice.off(errors, truth)).mean(axis=(0, 1))
            naive = naive_misses(values, starts, leads, choice.season)
        self._held_out = {"model": own, SEASONAL: None, **naive}
        deviation = values.std(axis=0)
        best = better_than(own, naive, np.where(deviation > 0, deviation, 1))
        if best is not None:
            self._warnings.append(
                f"a naive forecast, {NAMES[best]}, was better at {len(starts)} earlier points of this history"
                f" (mean absolute error {_told(naive[best])} against {_told(own)})"
            )

    def _divergence(self, values: Values) -> tuple[str, ...]:
        if self._question.model.series.memorised is not None:
            return ()  # it knows its series by heart, and hears only how many steps are over
        past = self._question.history.values
        low, high = past.min(axis=0), past.max(axis=0)
        span = high - low
        gone = ~((values >= low - span) & (values <= high + span))  # NaN counts as gone
        if not gone.any():
            return ()
        words = f"from step {_first(gone)} on the forecast is farther from all of the history than that is wide"
        return (f"{words}: the free run may have diverged",)


def _known(rows: Sequence[Any], steps: int) -> Values:
    """The inputs of so many steps (T + H, inputs), counted before they are looked at. Raises InvalidSeries."""
    if len(rows) != steps:
        raise InvalidSeries.of_field("inputs", f"{steps} steps are needed, history and horizon, not {len(rows)}.")
    return read_table("inputs", rows)


def _told(errors: Values) -> str:
    return ", ".join(f"{error:.3g}" for error in errors.tolist()[:CHANNELS_TOLD])


def _first(where: NDArray[np.bool_]) -> int:
    return int(where.any(axis=1).argmax()) + 1
