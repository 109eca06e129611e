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

from service.datasets.mackey_glass import mackey_glass
from service.nets.reservoir import Reservoir
from service.nets.ridge import RidgeSums

STEPS = 3000
SERIES = 64
ROUNDS = 7
LEAK, RADIUS, RIDGE = 0.3, 0.9, 1e-8
SIZES = ((300, 10), (500, 10), (1000, 10), (300, 30), (500, 50), (1000, 100))


def seconds(work: Callable[[], object]) -> float:
    """The quickest of several rounds: the machine has other things to do, too."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@torch.inference_mode()
def compare(units: int, connections: int, series: NDArray[np.float64]) -> str:
    """One line of the table."""
    nodes: Any = importlib.import_module("reservoirpy.nodes")
    theirs = nodes.Reservoir(units, lr=LEAK, sr=RADIUS, rc_connectivity=connections / units, seed=0)
    states = theirs.run(series[:-1])
    their_run = seconds(lambda: theirs.run(series[:-1]))
    their_fit = seconds(lambda: nodes.Ridge(RIDGE).fit(states, series[1:]))

    ours = Reservoir(units=units, leak=LEAK, spectral_radius=RADIUS, connections=connections)
    v, y = torch.from_numpy(series[None, :-1]), torch.from_numpy(series[1:])
    features = ours(v)[0]
    our_run = seconds(lambda: ours(v))
    our_fit = seconds(lambda: RidgeSums(ours.size, 1).update(features, y).solve(RIDGE))
    many = v[:, : STEPS // 4].expand(SERIES, -1, -1).contiguous()
    our_many = seconds(lambda: ours(many)) / (SERIES * many.shape[1])

    step = their_run / STEPS
    return (
        f"| {units} | {connections} | {1 / step:,.0f} | {STEPS / our_run:,.0f} | **{their_run / our_run:.1f}×** "
        f"| {1 / our_many:,.0f} | **{step / our_many:.1f}×** "
        f"| {1e3 * their_fit:.1f} | {1e3 * our_fit:.1f} | {their_fit / our_fit:.1f}× |"
    )


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    series = mackey_glass(STEPS + 1)
    print(
        f"reservoirpy {version('reservoirpy')}, torch {torch.__version__}, numpy {np.__version__}, one core; {STEPS} steps"
    )
    print("of Mackey–Glass, the quickest of seven rounds. Connections a unit are the same in both.\n")
    print(f"| units | connections | reservoirpy, steps/s | ours, steps/s | | ours, {SERIES} series, steps/s | "
          "| reservoirpy fit, ms | ours fit, ms | |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for units, connections in SIZES:
        print(compare(units, connections, series), flush=True)


if __name__ == "__main__":
    main()
