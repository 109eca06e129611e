"""Steps per second and fit time of our reservoir beside reservoirpy's: same size, same data, one run, one core.

    pip install reservoirpy   # no dependency of ours
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/reservoir.py

Both have the same number of connections a unit; a tenth of all units is what reservoirpy takes by itself.
"""

import importlib
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.datasets.mackey_glass import mackey_glass
from service.nets.registry import build_net
from service.nets.reservoir import Reservoir
from service.nets.ridge import RidgeSums
from service.settings import Settings
from service.store import Model
from service.tasks.forecast import Fit

STEPS = 3000
SERIES, PIECE = 64, 20
"""Many series are heard together, so many steps at a time, each piece from the last state of the one before."""
ROUNDS = 40
RADIUS, RIDGE = 0.9, 1e-8
SIZES = (
    (100, 10, 1.0),
    (300, 10, 1.0),
    (500, 10, 1.0),
    (1000, 10, 1.0),
    (300, 10, 0.3),
    (300, 30, 1.0),
    (500, 50, 1.0),
)
"""Units, connections of each, leak; both have a leak of 1 unless told."""
FITTED, HORIZON = 2000, 100


def quickest(*works: Callable[[], object]) -> list[float]:
    """Seconds of each in its quickest round, the rounds in turn: the machine has other things to do, too."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for place, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[place] = min(best[place], time.perf_counter() - began)
    return best


def hear_many(reservoir: Reservoir, v: Tensor) -> None:
    """Run many series (n, T, 1) through a reservoir, piece by piece."""
    x = None
    for start in range(0, v.shape[1], PIECE):
        x = reservoir(v[:, start : start + PIECE], x)[:, -1, -reservoir.units :]


@torch.inference_mode()
def compare(units: int, connections: int, leak: float, series: NDArray[np.float64]) -> str:
    """One line of the table."""
    nodes: Any = importlib.import_module("reservoirpy.nodes")
    theirs = nodes.Reservoir(units, lr=leak, sr=RADIUS, rc_connectivity=connections / units, seed=0)
    states = theirs.run(series[:-1])
    ours = Reservoir(units=units, leak=leak, spectral_radius=RADIUS, connections=connections)
    v, y = torch.from_numpy(series[None, :-1]), torch.from_numpy(series[1:])
    many = v[:, : 10 * PIECE].expand(SERIES, -1, -1).contiguous()
    features = ours(v)[0]
    their_run, our_run, our_many, their_fit, our_fit = quickest(
        lambda: theirs.run(series[:-1]),
        lambda: ours(v),
        lambda: hear_many(ours, many),
        lambda: nodes.Ridge(RIDGE).fit(states, series[1:]),
        lambda: RidgeSums(ours.size, 1).update(features, y).solve(RIDGE),
    )
    theirs_a_second, ours_a_second = STEPS / their_run, STEPS / our_run
    many_a_second = many.shape[0] * many.shape[1] / our_many
    return (
        f"| {units} | {connections} | {leak:g} "
        f"| {theirs_a_second:,.0f} | {ours_a_second:,.0f} | {their_run / our_run:.1f}× "
        f"| {many_a_second:,.0f} | {many_a_second / theirs_a_second:.1f}× "
        f"| {1e3 * their_fit:.1f} | {1e3 * our_fit:.1f} | {their_fit / our_fit:.1f}× |"
    )


@torch.inference_mode()
def forecast_milliseconds(model_id: str, series: NDArray[np.float64]) -> float:
    """What `/forecast` with `fit: true` costs the engine: the fit, its earlier forecasts, and the steps asked for."""
    manifest = Model(Settings().shipped_models_dir / model_id).manifest
    net = build_net(manifest.net, manifest.options).eval().requires_grad_(requires_grad=False)
    tensors = [torch.from_numpy(series[None, :FITTED]), torch.zeros(1, FITTED + HORIZON, 0, dtype=torch.float64)]
    return 1e3 * quickest(lambda: Fit().forward(net, tensors, manifest))[0]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    series = mackey_glass(STEPS + 1)
    print(f"reservoirpy {version('reservoirpy')}, torch {torch.__version__}, numpy {np.__version__}, one core;")
    print(
        f"{STEPS:,} steps of Mackey–Glass, the quickest of {ROUNDS} rounds in turn. Steps per second, milliseconds.\n"
    )
    print(
        f"| units | connections a unit | leak | reservoirpy | ours | | ours, {SERIES} series together | "
        "| reservoirpy, fit | ours, fit | |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for units, connections, leak in SIZES:
        print(compare(units, connections, leak, series), flush=True)
    print(f"\n/forecast with fit: true, {FITTED:,} points, {HORIZON} steps, engine time on one core:")
    for model_id in ("esn-lorenz", "esn-mackey-glass"):
        units = Model(Settings().shipped_models_dir / model_id).manifest.options["units"]
        print(f"{model_id}, {units} units: {forecast_milliseconds(model_id, series):.0f} ms")


if __name__ == "__main__":
    main()
