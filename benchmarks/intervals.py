"""How much of what comes the intervals of `/forecast` with `fit: true` hold, over many series of each kind.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/intervals.py [--series 200]

Nominal 95 %. What is forecast, values, changes or their logarithms, is chosen for each. The width is that at the last
step, in multiples of the one that would have held 95 % of all series there.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from service.datasets.lorenz import lorenz
from service.datasets.mackey_glass import mackey_glass
from service.nets.registry import build_net
from service.settings import Settings
from service.store import Manifest, Model
from service.tasks.choice import Choice
from service.tasks.forecast import Fit

Values = NDArray[np.float64]

MODEL = "esn-mackey-glass"
LEVEL = 0.95
LENGTHS = ((200, 20), (500, 50), (2000, 100))
"""Steps of a history, and how far it is continued."""


def random_walk(length: int, rng: np.random.Generator) -> Values:
    """Sums of noise."""
    return rng.normal(size=(length, 1)).cumsum(axis=0)


def autoregression(length: int, rng: np.random.Generator) -> Values:
    """x(t) = 0.9·x(t−1) + noise."""
    x = [0.0]
    for noise in rng.normal(size=length + 100).tolist():
        x.append(0.9 * x[-1] + noise)
    return np.array(x[-length:])[:, None]


def noisy_sine(length: int, rng: np.random.Generator) -> Values:
    """A sine of 25 steps, and noise of a fifth of its height."""
    t = np.arange(length)
    wave: Values = np.sin(2 * np.pi * t / 25 + rng.uniform(0, 6)) + rng.normal(0, 0.2, length)
    return wave[:, None]


def trend_and_season(length: int, rng: np.random.Generator) -> Values:
    """A line, a season of 24 steps, and noise."""
    t = np.arange(length)
    wave: Values = 0.02 * t + 3 * np.sin(2 * np.pi * t / 24 + rng.uniform(0, 6)) + rng.normal(0, 0.5, length)
    return wave[:, None]


KINDS: dict[str, Callable[[int, np.random.Generator], Values]] = {
    "random walk": random_walk,
    "AR(1), 0.9": autoregression,
    "noisy sine": noisy_sine,
    "trend and season": trend_and_season,
    "Mackey–Glass": lambda length, rng: mackey_glass(length, seed=int(rng.integers(2**30))),
    "Lorenz, x y z": lambda length, rng: lorenz(length, seed=int(rng.integers(2**30))),
}


@torch.inference_mode()
def forecast(manifest: Manifest, history: Values, horizon: int) -> tuple[Values, Values]:
    """What a readout fitted to a history expects, (H, c), and the lower and upper parts of its interval, (2, H, c)."""
    net = build_net(manifest.net, manifest.options).eval().requires_grad_(requires_grad=False)
    tensors = [torch.from_numpy(history)[None], torch.zeros(1, len(history) + horizon, 0, dtype=torch.float64)]
    arrays = [array[0].numpy() for array in Fit().forward(net, tensors, manifest)]
    found, errors, starts, choice = *arrays[:3], Choice.read(arrays[-1])
    half = Fit().finish(errors, starts, horizon, LEVEL, lag=choice.lag).half
    assert half is not None
    low, high = choice.ends(found, half)
    return found, np.stack([found - low, high - found])


def measure(kind: str, length: int, horizon: int, count: int, manifest: Manifest) -> str:
    """One line of the table."""
    off, halves = [], []
    for seed in range(count):
        values = np.ascontiguousarray(KINDS[kind](length + horizon, np.random.default_rng([seed, length])))
        found, half = forecast(manifest, values[:length], horizon)
        off.append(values[length:] - found)
        halves.append(np.where(off[-1] > 0, half[1], half[0]))
    errors, widths = np.abs(off), np.stack(halves)  # (series, H, c), to the side on which the truth lies
    inside = errors <= widths
    needed = np.quantile(errors[:, -1], LEVEL, axis=0)
    spread = inside.mean(axis=(1, 2)).std(ddof=1) / np.sqrt(count)
    return (
        f"| {kind} | {length:,} | {horizon} | **{inside.mean():.1%}** ± {spread:.1%} "
        f"| {inside[:, 0].mean():.1%} | {inside[:, -1].mean():.1%} "
        f"| {np.median(widths[:, -1] / needed):.1f}× |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200, help="how many of each kind")
    count = parser.parse_args().series
    torch.set_num_threads(1)
    manifest = Model(Settings().shipped_models_dir / MODEL).manifest
    print(f"{MODEL} with fit: true, {count} series of each kind, intervals of {LEVEL:.0%}\n")
    print("| series | steps known | steps ahead | inside | at the first step | at the last | width |")
    print("|---" * 7 + "|")
    for length, horizon in LENGTHS:
        for kind in KINDS:
            print(measure(kind, length, horizon, count, manifest), flush=True)


if __name__ == "__main__":
    main()
