"""How well `/forecast` with `fit: true` continues five real series, beside Holt–Winters and the season before.

    make series   # installs statsmodels and pmdarima, which bring the series and Holt–Winters; writes docs/series.md
    OMP_NUM_THREADS=1 python benchmarks/series.py [--origins 20] [--models esn-mackey-glass,esn-lorenz] [--write]

Each forecast begins at one of several points of a series, its origin, and knows nothing of what comes after it.
"""

import argparse
import importlib
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from itertools import product
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
NUMBERS = 5
"""Of an outcome."""
CHOSEN = {"none": "values", "first": "changes", "seasonal": "changes from season to season"}
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
    warned: float
    chosen: str


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


def holt_winters(series: Series, origin: int, horizon: int) -> Values:
    """The one of lowest AICc."""
    known, period = series.values[:origin], series.period
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


def try_origin(series: Series, origin: int, reply: ForecastReply, smoothed: Values) -> Outcome:
    """What three forecasts from one origin are worth."""
    known, truth, period = series.values[:origin], series.values[origin : origin + len(smoothed)], series.period
    scale = np.abs(known[period:] - known[:-period]).mean()
    before = known[origin - period + np.arange(len(truth)) % period]
    assert reply.choice is not None
    assert reply.interval is not None
    low, high, forecast = (np.array(each, float) for each in (reply.interval.low, reply.interval.high, reply.forecast))
    own, theirs, naive = (float(np.abs(each - truth).mean() / scale) for each in (forecast, smoothed, before))
    covered = float(((low <= truth) & (truth <= high)).mean())
    warned = float(any("naive" in warning for warning in reply.warnings))
    chosen = CHOSEN[reply.choice.difference] + (" of logarithms" if reply.choice.logarithm else "")
    return Outcome(own, theirs, naive, covered, warned, chosen)


def means(outcomes: list[Outcome]) -> list[float]:
    """Of the numbers of all origins."""
    return [float(np.mean(column)) for column in list(zip(*outcomes, strict=True))[:NUMBERS]]


def row_of(name: str, outcomes: list[Outcome]) -> str:
    """One line of the table."""
    *scores, covered, warned = means(outcomes)
    chosen = ", ".join(f"{what} {count}" for what, count in Counter(one.chosen for one in outcomes).most_common())
    shown = " | ".join(f"**{score:.2f}**" if score == min(scores) else f"{score:.2f}" for score in scores)
    return f"| {name} | {shown} | {covered:.0%} | {warned:.0%} | {chosen} |\n"


def summary_of(table: list[list[Outcome]]) -> str:
    """A sentence below the table."""
    scores = [means(outcomes)[:3] for outcomes in table]
    nearer, near = (sum(own <= each[place] for own, *each in scores) for place in (0, 1))
    beaten = f"Holt–Winters on {nearer} of {len(table)} and than the season before on {near}"
    return f"\nThe reservoir misses by no more than {beaten}.\n"


def tables(models: list[str], count: int) -> Iterator[str]:
    """A table for each model and horizon, line by line."""
    smooth = lru_cache(None)(lambda name, origin, horizon: holt_winters(found[name], origin, horizon))
    found = real_series()
    with Local() as here:
        for model, periods in product(models, (1, 2)):
            yield f"\n## {model}, {('one period', 'two periods')[periods - 1]} ahead\n\n"
            yield "| series | reservoir | Holt–Winters | season before | covered | warned | chosen |\n"
            yield "|---" * 7 + "|\n"
            table = []
            for name, series in found.items():
                horizon = series.horizon * periods
                table.append(
                    [
                        try_origin(
                            series,
                            origin,
                            here.forecast(series.values[:origin], horizon, model=model, fit=True, level=LEVEL),
                            smooth(name, origin, horizon),
                        )
                        for origin in origins_of(len(series.values), horizon, count)
                    ]
                )
                yield row_of(name, table[-1])
            yield summary_of(table)


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
