"""How well `/forecast` with `fit: true` continues five real series, beside Holt–Winters and the season before.

    make series   # installs statsmodels and pmdarima, which bring the series and Holt–Winters; writes docs/series.md
    OMP_NUM_THREADS=1 python benchmarks/series.py [--origins 20] [--models esn-mackey-glass,esn-lorenz] [--write]

Each forecast begins at one of several points of a series, its origin, and knows nothing of what comes after it.
"""

import argparse
import importlib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chapterhouse import ForecastReply, Local

Values = NDArray[np.float64]

PAGE = Path(__file__).parent.parent / "docs" / "series.md"
MODELS = "esn-mackey-glass,esn-lorenz"
SHORTEST = 60
"""Steps that the first origin knows at least, and half of a series."""
LEVEL = 0.95
INTRODUCTION = """# Forecasts of real series

Written by `make series`. Five series that textbooks forecast, {origins} origins each, evenly from the middle of the
series (or its step {shortest}) to the last from which the horizon fits. A forecast knows the series up to its origin
and nothing more: no season is given, and everything is chosen again at each origin. The score is MASE (Hyndman and
Koehler 2006): the mean absolute error in multiples of that of the season before within what was known; below, its mean
over origins. The horizon is one period of the series, of Nile ten years; in the second table of a model twice as much.

- **reservoir**: `/forecast` with `fit: true` and nothing else; **covered** is the share of values in its intervals of
  {level:.0%}.
- **Holt–Winters**: `statsmodels` {statsmodels}, additive trend, damped or not, additive or (of positive series)
  multiplicative season of the true length, whichever has the lowest AICc at the origin.
- **season before**: the last period again; of Nile, which has none, the last value.
- **warned**: the share of origins at which the reply said that a naive forecast had been better so far.
- **chosen**: what was forecast, at how many of the origins.
"""


class Series(NamedTuple):
    """A series, and after how many steps it comes again."""

    values: Values
    period: int
    horizon: int


class Outcome(NamedTuple):
    """One origin: errors in MASE, the share in the interval, what was chosen, whether a naive forecast was better."""

    reservoir: float
    holt_winters: float
    season_before: float
    covered: float
    chosen: str
    warned: bool


def real_series() -> dict[str, Series]:
    """The five, monthly or yearly."""
    bundled: Any = importlib.import_module("statsmodels.api").datasets
    passengers: Any = importlib.import_module("pmdarima.datasets").load_airpassengers()
    carbon = bundled.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    months = bundled.elnino.load_pandas().data.iloc[:, 1:].to_numpy().ravel()
    found = {
        "AirPassengers, monthly": (passengers, 12, 12),
        "CO2, monthly": (carbon.to_numpy(), 12, 12),
        "sunspots, yearly": (bundled.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(), 11, 11),
        "El Niño, monthly": (months, 12, 12),
        "Nile, yearly": (bundled.nile.load_pandas().data["volume"].to_numpy(), 1, 10),
    }
    return {name: Series(np.asarray(values, float), *rest) for name, (values, *rest) in found.items()}


def origins_of(length: int, horizon: int, count: int) -> list[int]:
    """Up to `count` points, evenly spread."""
    first = max(SHORTEST, length // 2)
    return sorted({first + (length - horizon - first) * place // (count - 1) for place in range(count)})


def holt_winters(known: Values, period: int, horizon: int) -> Values:
    """The one of lowest AICc."""
    smoothing: Any = importlib.import_module("statsmodels.tsa.holtwinters").ExponentialSmoothing
    seasons = [None] if period == 1 else ["add", "mul"] if known.min() > 0 else ["add"]
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for season in seasons:
            for damped in (False, True):
                options = {} if season is None else {"seasonal": season, "seasonal_periods": period}
                fits.append(smoothing(known, trend="add", damped_trend=damped, **options).fit())
    forecast: Values = min(fits, key=lambda fit: fit.aicc).forecast(horizon)
    return forecast


def try_origin(known: Values, truth: Values, period: int, reply: ForecastReply, smoothed: Values) -> Outcome:
    """What three forecasts from one origin are worth."""
    scale = np.abs(known[period:] - known[:-period]).mean()
    before = np.array([known[len(known) - period + step % period] for step in range(len(truth))])
    assert reply.choice is not None
    assert reply.interval is not None
    low, high = np.array(reply.interval.low, float), np.array(reply.interval.high, float)
    forecast = np.array(reply.forecast, float)
    errors = [float(np.abs(each - truth).mean() / scale) for each in (forecast, smoothed, before)]
    chosen = {"none": "values", "first": "changes", "seasonal": "changes from season to season"}[
        reply.choice.difference
    ]
    if reply.choice.logarithm:
        chosen += " of logarithms"
    warned = any("naive" in warning for warning in reply.warnings)
    return Outcome(*errors, float(((low <= truth) & (truth <= high)).mean()), chosen, warned)


def row_of(name: str, outcomes: list[Outcome]) -> str:
    """One line of the table."""
    mean: Callable[[str], float] = lambda field: float(np.mean([getattr(one, field) for one in outcomes]))  # noqa: E731
    chosen = ", ".join(f"{what} {count}" for what, count in Counter(one.chosen for one in outcomes).most_common())
    scores = {field: mean(field) for field in ("reservoir", "holt_winters", "season_before")}
    shown = [f"**{score:.2f}**" if score == min(scores.values()) else f"{score:.2f}" for score in scores.values()]
    return f"| {name} | {' | '.join(shown)} | {mean('covered'):.0%} | {mean('warned'):.0%} | {chosen} |"


def tables(models: list[str], count: int) -> Iterator[str]:
    """A table for each model and horizon, line by line."""
    smoothed: dict[tuple[str, int, int], Values] = {}
    with Local() as here:
        for model in models:
            for periods in (1, 2):
                yield f"\n## {model}, {('one period', 'two periods')[periods - 1]} ahead\n\n"
                yield "| series | reservoir | Holt–Winters | season before | covered | warned | chosen |\n"
                yield "|---" * 7 + "|\n"
                for name, series in real_series().items():
                    horizon, outcomes = series.horizon * periods, []
                    for origin in origins_of(len(series.values), horizon, count):
                        known, truth = np.split(series.values[: origin + horizon], [origin])
                        key = name, origin, horizon
                        if key not in smoothed:
                            smoothed[key] = holt_winters(known, series.period, horizon)
                        reply = here.forecast(known, horizon, model=model, fit=True, level=LEVEL)
                        outcomes.append(try_origin(known, truth, series.period, reply, smoothed[key]))
                    yield row_of(name, outcomes) + "\n"


def main() -> None:
    """Print the tables, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origins", type=int, default=20, help="how many of each series")
    parser.add_argument("--models", default=MODELS, help="forecasters whose reservoirs are fitted, with commas")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    asked = parser.parse_args()
    page = INTRODUCTION.format(
        origins=asked.origins, shortest=SHORTEST, level=LEVEL, statsmodels=version("statsmodels")
    )
    print(page)
    for line in tables(asked.models.split(","), asked.origins):
        print(line, end="", flush=True)
        page += line
    if asked.write:
        PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
