"""How a series goes on: a history to the steps after it, and the errors that earlier forecasts of it made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from service.store import Manifest, SeriesSpec
from service.tasks.choice import Choice
from service.tasks.history import CHOOSING, PreparedSeries, held_out_of, prepare_fitted, prepare_known
from service.tasks.intervals import Widths, half_widths
from service.tasks.pauses import Pauses
from service.tasks.seasons import find_season, swings_with_level

if TYPE_CHECKING:
    from torch import Tensor, nn

    from service.nets.echo_state import EchoState

    Run = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

Values = NDArray[np.float64]

STARTS = 40
"""Points of a history from which it is forecast again, to see how far off that is."""
WASHED_OUT = 10
"""At most a tenth of a history is spent on forgetting that the net began from nothing."""
WARM_STEPS = 20


class Forecaster(Protocol):
    """A net that hears a series and goes on by itself."""

    def rest(self, rows: int) -> "Tensor":
        """What is remembered before anything was heard, (rows, S)."""
        ...

    def follow(self, values: "Tensor", inputs: "Tensor", steps: Sequence[int]) -> "Tensor":
        """What is remembered after each of these steps of a series, counted from 1, (n, len(steps), S)."""
        ...

    def run(self, memory: "Tensor", inputs: "Tensor") -> "tuple[Tensor, Tensor]":
        """The steps (n, H, c) after a memory (n, S), given their known inputs (n, H, k); and the memory then."""
        ...


class Forecast:
    """One history, values (1, T, c) and inputs (1, T + H, k), to what follows: values (1, H, c).

    And to the errors of forecasts from earlier points, (1, starts, L, c) with L ≤ H; these points, (1, starts); the
    memory (1, S) from which `continue` goes on; and what it has to be given beside that, (1, 0). All of it float64.
    """

    exact = True
    any_length = True
    warmed = True
    pauses: Pauses = "by itself"
    price = 4

    def serves(self, manifest: Manifest) -> bool:
        """Any forecaster."""
        return manifest.task == "forecast"

    def prepare(self, values: Values, inputs: Values, spec: SeriesSpec) -> PreparedSeries:
        """Values (T, channels) and inputs (T + H, inputs) as this verb takes them. Raises InvalidSeries."""
        return prepare_known(values, inputs, spec)

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """Forecast as trained; to such a net all of the history is held out."""
        values, inputs = tensors
        forecaster, first, length = cast("Forecaster", net), max(1, _spec(manifest).washout), values.shape[1]
        leads = min(inputs.shape[1] - length, max(0, length - first) // 2)
        starts = spread_starts(first, length, leads)
        memories = forecaster.follow(values, inputs[:, :length], [*starts, length])[0]
        errors = _errors(forecaster.run, memories[:-1], starts, values, inputs, leads)
        forecast, memory = forecaster.run(memories[-1:], inputs[:, length:])
        return [forecast, errors, values.new_tensor([starts]), memory, values.new_zeros(1, 0)]

    def finish(self, errors: Values, starts: Values, horizon: int, level: float, *, lag: int = 0) -> Widths:
        """Half the width of the interval at every step, from the errors (starts, leads, channels).

        `lag` is that of the changes that are forecast, if it is changes.
        """
        return half_widths(errors, starts, horizon, level, lag=max(1, lag))

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """A short history, and the inputs of a few steps more."""
        spec = _spec(manifest)
        length = spec.washout + WARM_STEPS
        values, inputs = (rows, length, len(spec.channels)), (rows, length + WARM_STEPS, len(spec.inputs))
        return [(values, "float64"), (inputs, "float64")]


@dataclass(frozen=True, slots=True)
class Fit(Forecast):
    """`Forecast` by a net whose readout is fitted to this very history, of any number of channels and inputs.

    What `continue` has to be given is what was fitted, (1, numbers). And to what was chosen, a `Choice` (1, 4); where
    that is logarithms, errors are those of logarithms. `season` is given in steps, 1 for none, 0 to look for it.
    """

    season: int = 0

    price = 16

    def serves(self, manifest: Manifest) -> bool:
        """Forecasters with a readout that is solved, not trained."""
        return manifest.series is not None and manifest.series.fits

    def prepare(self, values: Values, inputs: Values, spec: SeriesSpec) -> PreparedSeries:
        """Values (T, channels) and inputs (T + H, inputs) as this verb takes them. Raises InvalidSeries."""
        return prepare_fitted(values, inputs, spec, season=self.season)

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """Forecast the last quarter with readouts of what lies before, and go on with a readout of the whole."""
        values, inputs = tensors
        length, own = values.shape[1], cast("EchoState", net)
        held_out, choosing = held_out_of(length), int(length * CHOOSING)
        washout = min(_spec(manifest).washout, length // WASHED_OUT)
        season, tried = self._tried(values[0].cpu().numpy(), length - choosing, feedback=own.feedback)
        fitted = own.fit(values, inputs[:, :length], washout=washout, held_out=held_out, choosing=choosing, tried=tried)
        leads = min(inputs.shape[1] - length, held_out // 2)
        starts = spread_starts(length - held_out, length, leads)
        memories = fitted.net.memories(fitted.features, values, [*starts, length])[0]
        run = partial(fitted.net.run, readouts=fitted.readouts_before(starts))
        scaled = fitted.net.differencing.scaled
        errors = _errors(run, memories[:-1], starts, values, inputs, leads, scaled)
        forecast, memory = fitted.net.run(memories[-1:], inputs[:, length:])
        choice = Choice(*fitted.net.differencing, fitted.penalty, season)
        return [forecast, errors, values.new_tensor([starts]), memory, fitted.net.fitted(), values.new_tensor([choice])]

    def _tried(self, history: Values, border: int, *, feedback: bool) -> tuple[int, list[tuple[int, bool]]]:
        """The season, and what may be forecast of a history by what lies before the border: lags, and of logarithms."""
        if not feedback:
            return 1, [(0, False)]
        known = history[:border]
        from service.nets.pauses import pause  # only an engine comes here, and only engines have torch

        season = self.season or find_season(known, pause)
        lags = [0, 1, season] if season > 1 else [0, 1]
        scales = [False, True] if (history > 0).all() and swings_with_level(known) else [False]
        return season, [(lag, logarithm) for logarithm in scales for lag in lags if lag or not logarithm]


class Continue:
    """A memory (1, S), what was fitted (1, numbers) if anything, and inputs (1, H, k) to the next values (1, H, c).

    And to the memory after them. A memory of no width is that of a net which has heard nothing.
    """

    exact = True
    any_length = True
    warmed = True
    pauses: Pauses = "by itself"
    price = 1

    def serves(self, manifest: Manifest) -> bool:
        """Any forecaster."""
        return manifest.task == "forecast"

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:  # noqa: ARG002 - the arrays say it all
        """Go on."""
        memory, fitted, inputs = tensors
        forecaster = cast("Forecaster", net)
        if fitted.shape[1]:
            forecaster = cast("EchoState", net).wearing(fitted, memory, inputs)
        return forecaster.run(memory if memory.shape[1] else forecaster.rest(len(memory)), inputs)

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """No memory, nothing fitted, the inputs of a few steps."""
        inputs = (rows, WARM_STEPS, len(_spec(manifest).inputs))
        return [((rows, 0), "float64"), ((rows, 0), "float64"), (inputs, "float64")]


def spread_starts(first: int, last: int, leads: int, count: int = STARTS) -> list[int]:
    """Up to `count` points from `first` on that have `leads` steps more before `last`, evenly spread; none for none."""
    room = last - leads - first
    if leads < 1 or room < 0:
        return []
    return sorted({first + room * place // (count - 1) for place in range(count)})


def _errors(
    run: "Run",
    memories: "Tensor",
    starts: Sequence[int],
    values: "Tensor",
    inputs: "Tensor",
    leads: int,
    scaled: "Callable[[Tensor], Tensor]" = lambda values: values,
) -> "Tensor":
    """How far off free runs from memories (starts, S) are on this scale, (1, starts, leads, c)."""
    if not starts:
        return values.new_zeros(1, 0, 0, values.shape[2])
    truth, known = (series[0].unfold(0, leads, 1)[starts].transpose(1, 2) for series in (values, inputs))
    found, _ = run(memories, known)
    return (scaled(found) - scaled(truth))[None]


def _spec(manifest: Manifest) -> SeriesSpec:
    assert manifest.series is not None
    return manifest.series
