"""Steps per second and fit time of our reservoir beside reservoirpy's: same size, same data, one run, one core.

    pip install reservoirpy   # no dependency of ours
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/reservoir.py

Both have the same number of connections a unit; a tenth of all units is what reservoirpy takes by itself. Its states
are float64 whatever `dtype` says; ours are, unless told. Seconds are those of the core, not of the clock: the machine
may have other things to do.
"""

import importlib
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.datasets.mackey_glass import mackey_glass
from service.nets.registry import build_net
from service.nets.reservoir import Precision, Reservoir
from service.nets.ridge import RidgeSums
from service.settings import Settings
from service.store import Model
from service.tasks.forecast import Fit

STEPS = 600
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
PRECISIONS: tuple[Precision, ...] = ("double", "single")
LEARNT = 3000
"""Steps that a readout is fitted to."""
FITTED, HORIZON = 2000, 100


def quickest(*works: Callable[[], object]) -> list[float]:
    """Seconds of each in its quickest round, the rounds in turn."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for place, work in enumerate(works):
            began = time.thread_time()
            work()
            best[place] = min(best[place], time.thread_time() - began)
    return best


def hear_many(reservoir: Reservoir, v: Tensor) -> None:
    """Run many series (n, T, 1) through a reservoir, piece by piece."""
    x = None
    for start in range(0, v.shape[1], PIECE):
        x = reservoir(v[:, start : start + PIECE], x)[:, -1, -reservoir.units :].clone()  # all else may be let go


@torch.inference_mode()
def compare_steps(units: int, connections: int, leak: float, series: NDArray[np.float64]) -> str:
    """One line of the table of steps."""
    nodes: Any = importlib.import_module("reservoirpy.nodes")
    theirs = nodes.Reservoir(units, lr=leak, sr=RADIUS, rc_connectivity=connections / units, seed=0)
    works: list[Callable[[], object]] = [lambda: theirs.run(series[:STEPS])]
    v = torch.from_numpy(series[None, :STEPS])
    many = v[:, : 2 * PIECE].expand(SERIES, -1, -1).contiguous()
    for precision in PRECISIONS:
        ours = Reservoir(units=units, leak=leak, spectral_radius=RADIUS, connections=connections, precision=precision)
        works += [partial(ours, v), partial(hear_many, ours, many)]
    seconds = quickest(*works)
    counts = [STEPS, *(STEPS, SERIES * 2 * PIECE) * len(PRECISIONS)]
    theirs_a_second, *ours_a_second = (count / spent for count, spent in zip(counts, seconds, strict=True))
    cells = [str(units), str(connections), f"{leak:g}", f"{theirs_a_second:,.0f}"]
    for a_second in ours_a_second:
        cells += [f"{a_second:,.0f}", f"{a_second / theirs_a_second:.1f}×"]
    return "| " + " | ".join(cells) + " |"


@torch.inference_mode()
def compare_fits(units: int, series: NDArray[np.float64]) -> str:
    """One line of the table of fits: hearing a series of 3,000 steps and solving the readout, and the latter alone."""
    nodes: Any = importlib.import_module("reservoirpy.nodes")
    theirs = nodes.Reservoir(units, sr=RADIUS, lr=1.0, rc_connectivity=10 / units, seed=0)
    ours = Reservoir(units=units, spectral_radius=RADIUS, connections=10)
    v, y = torch.from_numpy(series[None, :-1]), torch.from_numpy(series[1:])
    states, features = theirs.run(series[:-1]), ours(v)[0]
    their_fit, our_fit, their_all, our_all = quickest(
        lambda: nodes.Ridge(RIDGE).fit(states, series[1:]),
        lambda: RidgeSums(ours.size, 1).update(features, y).solve(RIDGE),
        lambda: nodes.Ridge(RIDGE).fit(theirs.run(series[:-1]), series[1:]),
        lambda: RidgeSums(ours.size, 1).update(ours(v)[0], y).solve(RIDGE),
    )
    return (
        f"| {units} | {1e3 * their_all:.1f} | {1e3 * our_all:.1f} | {their_all / our_all:.1f}× "
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
    """Print the tables."""
    torch.set_num_threads(1)
    series = mackey_glass(LEARNT + 1)
    print(f"reservoirpy {version('reservoirpy')}, torch {torch.__version__}, numpy {np.__version__}, one core;")
    print(f"steps of Mackey–Glass a second, the quickest of {ROUNDS} rounds in turn.\n")
    ours = "".join(f" ours, {precision} | | {SERIES} series together | |" for precision in PRECISIONS)
    print(f"| units | connections a unit | leak | reservoirpy |{ours}")
    print("|---" * (4 + 4 * len(PRECISIONS)) + "|")
    for units, connections, leak in SIZES:
        print(compare_steps(units, connections, leak, series), flush=True)
    print(f"\n{LEARNT:,} steps, milliseconds, 10 connections a unit\n")
    print("| units | reservoirpy, heard and fitted | ours | | reservoirpy, fitted | ours | |")
    print("|---" * 7 + "|")
    for units in (100, 300, 500, 1000):
        print(compare_fits(units, series), flush=True)
    print(f"\n/forecast with fit: true, {FITTED:,} points, {HORIZON} steps, engine time on one core:")
    for model_id in ("esn-lorenz", "esn-mackey-glass"):
        units = Model(Settings().shipped_models_dir / model_id).manifest.options["units"]
        print(f"{model_id}, {units} units: {forecast_milliseconds(model_id, series):.0f} ms")


if __name__ == "__main__":
    main()
