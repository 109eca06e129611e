"""What a card says a forecaster is worth: free runs through parts of a series that training never saw."""

from collections.abc import Awaitable, Callable

import numpy as np

from service.datasets.lorenz import LYAPUNOV
from service.datasets.series import Series, Values
from service.operations.forecast import forecast_series
from service.runtime.calls import EngineClient
from service.store import Model, Score

LEAD = 84
"""The step at which Jaeger measured forecasts of the Mackey–Glass series."""
CONTINUATIONS = 100
LORENZ_CONTINUATIONS = 50
LORENZ_HORIZON = 750
"""13.6 Lyapunov times."""
STRAY = 0.4
"""A forecast is valid until its error passes this share of the attractor's size (Pathak et al., PRL 120, 2018)."""
HORIZON = 50

Measure = Callable[[Model, EngineClient, Series], Awaitable[dict[str, Score]]]


async def forecast_scores(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    """The score by which a forecaster of its dataset is known; for any other series the error over 50 steps."""
    return await MEASURES.get(model.manifest.dataset, _short_forecasts)(model, engine, test)


def nrmse(found: Values, truth: Values, variance: float) -> float:
    """The root of the mean squared error, in deviations of the series."""
    return float(np.sqrt(np.mean((found - truth) ** 2) / variance))


def nmse(found: Values, truth: Values) -> float:
    """The mean squared error over the variance of the truth, a mean over channels; (T, channels) both."""
    return float(np.mean(((found - truth) ** 2).mean(axis=0) / truth.var(axis=0)))


def valid_steps(found: Values, truth: Values, variance: float, *, stray: float = STRAY) -> int:
    """Steps until the distance to the truth, (T, channels) both, first passes `stray` roots of the summed variance."""
    apart = np.sqrt(((found - truth) ** 2).sum(axis=1) / variance) > stray
    return int(apart.argmax()) if apart.any() else len(apart)


async def continuations(
    model: Model, engine: EngineClient, test: Series, *, count: int, horizon: int
) -> tuple[Values, Values]:
    """Forecasts from `count` points of a series, and what came instead, (count, horizon, channels) both."""
    heard = min(model.series.context, len(test) - horizon - 1)
    found, truth = [], []
    for end in np.linspace(heard, len(test) - horizon, count).astype(int):
        begin = end - heard
        found.append(await _forecast(model, engine, test.values[begin:end], test.inputs[begin : end + horizon]))
        truth.append(test.values[end : end + horizon])
    return np.stack(found), np.stack(truth)


async def _forecast(model: Model, engine: EngineClient, values: Values, inputs: Values) -> Values:
    return np.concatenate([block.values async for block in forecast_series(engine, model, values, inputs)])


async def _at_84_steps(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    found, truth = await continuations(model, engine, test, count=CONTINUATIONS, horizon=LEAD)
    value = nrmse(found[:, -1], truth[:, -1], float(test.values.var()))
    how = f"{CONTINUATIONS} free runs from points of another series, error at step {LEAD} in deviations of the series"
    return {"nrmse84": Score(value=value, on=f"{model.manifest.dataset} test", how=how)}


async def _lyapunov_times(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    found, truth = await continuations(model, engine, test, count=LORENZ_CONTINUATIONS, horizon=LORENZ_HORIZON)
    variance = float(test.values.var(axis=0).sum())
    steps = [valid_steps(*pair, variance) for pair in zip(found, truth, strict=True)]
    how = f"mean of {LORENZ_CONTINUATIONS} free runs through another series, until the error passes {STRAY} of its size"
    value = float(np.mean(steps)) * test.step * LYAPUNOV
    return {"lyapunov_times": Score(value=value, on=f"{model.manifest.dataset} test", how=how)}


async def _driven(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    heard = model.series.washout
    found = await _forecast(model, engine, test.values[:heard], test.inputs)
    how = f"{len(found):,} steps of another series, given its input; mean squared error over variance"
    score = Score(value=nmse(found, test.values[heard:]), on=f"{model.manifest.dataset} test", how=how)
    return {"nmse": score}


async def _by_heart(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    found = await _forecast(model, engine, test.values[:1], test.inputs)
    how = f"steps 2 to {len(test)} of the waveforms that it was trained to know by heart; mean over channels"
    return {"nmse": Score(value=nmse(found, test.values[1:]), on=model.manifest.dataset, how=how)}


async def _short_forecasts(model: Model, engine: EngineClient, test: Series) -> dict[str, Score]:
    found, truth = await continuations(model, engine, test, count=CONTINUATIONS, horizon=HORIZON)
    variance = test.values.var(axis=0)
    value = nrmse(found / np.sqrt(variance), truth / np.sqrt(variance), 1.0)
    how = f"{CONTINUATIONS} free runs of {HORIZON} steps, in deviations of the series"
    return {"nrmse": Score(value=value, on=f"{model.manifest.dataset} test", how=how)}


MEASURES: dict[str, Measure] = {
    "lorenz": _lyapunov_times,
    "mackey-glass": _at_84_steps,
    "mackey-glass-30": _at_84_steps,
    "narma-10": _driven,
    "waveforms": _by_heart,
}
