"""Our scores beside those of other tools, on the same features, in one run.

    python -m venv peers
    peers/bin/pip install numpy "scipy==1.17.*" pydantic scikit-learn prdc tqdm pillow
    peers/bin/pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
    peers/bin/pip install --no-deps pytorch-fid torch-fidelity
    PYTHONPATH=. peers/bin/python benchmarks/evaluation.py [--rounds 3] [--sizes 1000x2048,10000x2048] [--scores kid]

An environment of its own, because pytorch-fid breaks from scipy 1.18 on, and because none of the tools is needed for
anything else. Every measurement is a process of its own with one thread; seconds are those of its CPU, the best of the
rounds, and memory is what the peak grew by over the features. A tool that is not installed is left out. Features are
skewed and correlated as a network's are, in single precision.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.metrics.fid import fid, frechet_distance
from service.metrics.metric import Side
from service.metrics.registry import build_metric
from service.metrics.statistics import Statistics, statistics_of

Floats = NDArray[np.float32]
Run = Callable[[Floats, Floats], Callable[[], float]]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OURS = "chapterhouse"


def _ours(*names: str) -> Run:
    def prepare(real: Floats, generated: Floats) -> Callable[[], float]:
        def run() -> float:
            sides = Side(features=real), Side(features=generated)
            scores = [build_metric(name).measure(*sides) for name in names]
            return scores[0].value

        return run

    return prepare


def _our_distance(real: Floats, generated: Floats) -> Callable[[], float]:
    x, y = statistics_of(real), statistics_of(generated)
    return lambda: frechet_distance(x, y).value


def _our_fid(real: Floats, generated: Floats) -> Callable[[], float]:
    return lambda: fid(real, generated).value


def _our_interval(real: Floats, generated: Floats) -> Callable[[], float]:
    return lambda: build_metric("fid").measure(Side(features=real), Side(features=generated), intervals=True).value


def _moments(features: Floats) -> Statistics:
    wide = features.astype(np.float64)
    return Statistics(wide.mean(axis=0), np.cov(wide, rowvar=False), len(wide))


def _pytorch_fid_distance(real: Floats, generated: Floats) -> Callable[[], float]:
    calculate_frechet_distance = import_module("pytorch_fid.fid_score").calculate_frechet_distance

    x, y = statistics_of(real), statistics_of(generated)
    return lambda: float(calculate_frechet_distance(x.mean, x.covariance, y.mean, y.covariance))


def _pytorch_fid(real: Floats, generated: Floats) -> Callable[[], float]:
    calculate_frechet_distance = import_module("pytorch_fid.fid_score").calculate_frechet_distance

    def run() -> float:
        x, y = _moments(real), _moments(generated)
        return float(calculate_frechet_distance(x.mean, x.covariance, y.mean, y.covariance))

    return run


def _fidelity_distance(real: Floats, generated: Floats) -> Callable[[], float]:
    fid_statistics_to_metric = import_module("torch_fidelity.metric_fid").fid_statistics_to_metric

    x, y = ({"mu": s.mean, "sigma": s.covariance} for s in (statistics_of(real), statistics_of(generated)))
    return lambda: float(fid_statistics_to_metric(x, y, verbose=False)["frechet_inception_distance"])


def _fidelity_fid(real: Floats, generated: Floats) -> Callable[[], float]:
    torch, fidelity = import_module("torch"), import_module("torch_fidelity.metric_fid")
    x, y = torch.from_numpy(real), torch.from_numpy(generated)

    def run() -> float:
        statistics = [fidelity.fid_features_to_statistics(rows) for rows in (y, x)]
        found = fidelity.fid_statistics_to_metric(*statistics, verbose=False)
        return float(found["frechet_inception_distance"])

    return run


def _fidelity_kid(real: Floats, generated: Floats) -> Callable[[], float]:
    torch = import_module("torch")
    kid_features_to_metric = import_module("torch_fidelity.metric_kid").kid_features_to_metric

    x, y = torch.from_numpy(real), torch.from_numpy(generated)
    size = min(1000, len(x), len(y))
    return lambda: float(
        kid_features_to_metric(y, x, kid_subset_size=size, verbose=False)["kernel_inception_distance_mean"]
    )


def _fidelity_prc(real: Floats, generated: Floats) -> Callable[[], float]:
    torch = import_module("torch")
    prc_features_to_metric = import_module("torch_fidelity.metric_prc").prc_features_to_metric

    x, y = torch.from_numpy(real), torch.from_numpy(generated)
    return lambda: float(prc_features_to_metric(y, x, verbose=False)["precision"])


def _prdc(real: Floats, generated: Floats) -> Callable[[], float]:
    compute_prdc = import_module("prdc").compute_prdc

    return lambda: float(compute_prdc(real_features=real, fake_features=generated, nearest_k=5)["precision"])


def _scikit_learn(real: Floats, generated: Floats) -> Callable[[], float]:
    neighbors = import_module("sklearn.neighbors")

    def run() -> float:
        union = np.concatenate([real, generated]).astype(np.float64)
        labels = np.arange(len(union)) < len(real)
        neighbours = neighbors.NearestNeighbors(n_neighbors=2).fit(union).kneighbors(union, return_distance=False)
        nearest = np.where(neighbours[:, 0] == np.arange(len(union)), neighbours[:, 1], neighbours[:, 0])
        return float((labels[nearest] == labels).mean())

    return run


CONTENDERS: dict[str, dict[str, Run]] = {
    "fid from statistics": {
        OURS: _our_distance,
        "pytorch-fid": _pytorch_fid_distance,
        "torch-fidelity": _fidelity_distance,
    },
    "fid from features": {
        OURS: _our_fid,
        "chapterhouse with interval": _our_interval,
        "pytorch-fid": _pytorch_fid,
        "torch-fidelity": _fidelity_fid,
    },
    "kid": {OURS: _ours("kid"), "torch-fidelity": _fidelity_kid},
    "prdc": {
        OURS: _ours("precision", "recall", "density", "coverage"),
        "prdc": _prdc,
        "torch-fidelity (precision, recall)": _fidelity_prc,
    },
    "one_nn": {OURS: _ours("one_nn"), "scikit-learn": _scikit_learn},
}


def features_of(n: int, d: int) -> tuple[Floats, Floats]:
    """Two sets that differ a little."""
    return _rectified(n, d, seed=1, shift=0.0), _rectified(n, d, seed=2, shift=0.05)


def _rectified(n: int, d: int, *, seed: int, shift: float) -> Floats:
    factors = np.random.default_rng(0).standard_normal((8, d)) / 4
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n, 8)) @ factors + 0.3 * rng.standard_normal((n, d)) + 0.2 + shift
    return np.maximum(mixed, 0).astype(np.float32)


def measure_once(score: str, tool: str, n: int, d: int, rounds: int) -> dict[str, float]:
    """Seconds of CPU, megabytes and the value, of one contender in this process."""
    run = CONTENDERS[score][tool](*features_of(n, d))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak_kilobytes()
    seconds = []
    value = 0.0
    for _ in range(rounds):
        began = time.process_time()
        value = run()
        seconds.append(time.process_time() - began)
    return {"seconds": min(seconds), "megabytes": (_peak_kilobytes() - before) / 1024, "value": value}


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def measure_apart(score: str, tool: str, n: int, d: int, rounds: int) -> dict[str, Any] | None:
    """The same in a process of its own with one thread; None where the tool is not installed."""
    command = [sys.executable, __file__, "--only", json.dumps([score, tool, n, d, rounds])]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        if "ModuleNotFoundError" not in done.stderr:
            print(done.stderr, file=sys.stderr)
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def compare(score: str, n: int, d: int, rounds: int) -> None:
    """Print one score's table."""
    print(f"\n{score}, {n:,} × {d:,} a side")
    ours = None
    for tool in CONTENDERS[score]:
        found = measure_apart(score, tool, n, d, rounds)
        if found is None:
            print(f"  {tool:<36} not installed")
            continue
        ours = ours or found
        slower = found["seconds"] / ours["seconds"]
        numbers = f"{found['seconds']:9.2f} s {slower:7.1f} × {found['megabytes']:8.0f} MB   {found['value']:.9g}"
        print(f"  {tool:<36}{numbers}", flush=True)


def main() -> None:
    """Print a table for each score and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="1000x2048,10000x2048")
    parser.add_argument("--scores", default=",".join(CONTENDERS))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measure_once(*json.loads(asked.only))))
        return
    for size in asked.sizes.split(","):
        n, d = map(int, size.split("x"))
        for score in asked.scores.split(","):
            compare(score, n, d, asked.rounds)


if __name__ == "__main__":
    main()
