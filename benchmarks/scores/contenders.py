"""What computes a score from two sets of features: this project, other tools, and the matrix library alone.

Each contender prepares what it is given, and answers with the function whose time is taken. Tools are imported there,
so that one that is not installed is left out by itself.
"""

from collections.abc import Callable
from itertools import combinations_with_replacement, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dsygst

from benchmarks.scores.tools import tool
from service.metrics.metric import Side
from service.metrics.registry import build_metric

Floats = NDArray[np.float32]
Real = NDArray[np.float64]
Timed = Callable[[], float]
Contender = Callable[[Floats, Floats], Timed]

OURS = "chapterhouse"
FLOOR = "its products alone"
SUBSET = 1000
SUBSETS = 100
BLOCK = 2048
"""Rows of a block whose products a floor computes at once, so that it never holds all pairs."""


def ours(*names: str, intervals: bool = False, **options: object) -> Contender:
    """These metrics on two sides, which share what they compute."""

    def prepare(real: Floats, generated: Floats) -> Timed:
        def run() -> float:
            sides = Side(features=real), Side(features=generated)
            scores = [build_metric(name, options).measure(*sides, intervals=intervals) for name in names]
            return scores[0].value

        return run

    return prepare


def covariances_alone(real: Floats, generated: Floats) -> Timed:
    """The products that FID needs, on arrays that lie ready: two covariances, and Lᵀ Σ L; of few samples X Yᵀ."""
    x, y = real.astype(np.float64), generated.astype(np.float64)
    few = max(len(x), len(y)) <= x.shape[1]
    eye = np.asfortranarray(np.eye(x.shape[1]))

    def run() -> float:
        if few:
            return float((x @ y.T)[0, 0])
        products = [dsyrk(1.0, rows.T, lower=1) for rows in (x, y)]
        return float(dsygst(products[0], eye, itype=2, lower=1)[0][0, 0])

    return run


def distance_alone(real: Floats, generated: Floats) -> Timed:
    """The same with Cholesky's factor and the eigenvalues, or with the singular values: all of the library's part."""
    x, y = (rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64) for rows in (real, generated))
    few = max(len(x), len(y)) <= x.shape[1]

    def run() -> float:
        if few:
            return float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
        first, second = (dsyrk(1.0, rows.T, lower=1, overwrite_c=1) for rows in (x, y))
        factor, _ = dpotrf(first, lower=1, overwrite_a=1)
        return float(np.linalg.eigvalsh(dsygst(second, factor, itype=2, lower=1, overwrite_a=1)[0])[-1])

    return run


def pairs_alone(kind: type[np.floating]) -> Contender:
    """The products of all pairs within the two sets, once each, and between them."""

    def prepare(real: Floats, generated: Floats) -> Timed:
        sets = real.astype(kind), generated.astype(kind)
        room = np.empty((BLOCK, BLOCK), kind)

        def multiply(a: NDArray[Any], b: NDArray[Any]) -> None:
            np.matmul(a, b.T, out=room[: len(a), : len(b)] if len(b) == BLOCK else None)

        def run() -> float:
            x, y = ([rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)] for rows in sets)
            within = [(a, b) for blocks in (x, y) for a, b in combinations_with_replacement(blocks, 2)]
            for a, b in [*within, *product(x, y)]:
                multiply(a, b)
            return 0.0

        return run

    return prepare


def _moments(features: Floats) -> tuple[Real, Real]:
    wide = features.astype(np.float64)
    return wide.mean(axis=0), np.cov(wide, rowvar=False)


def pytorch_fid(real: Floats, generated: Floats) -> Timed:
    """Its distance, of moments that are computed as it computes them."""
    distance = tool("pytorch_fid.fid_score").calculate_frechet_distance
    return lambda: float(distance(*_moments(real), *_moments(generated)))


def clean_fid(real: Floats, generated: Floats) -> Timed:
    """The same of clean-fid."""
    distance = tool("cleanfid.fid").frechet_distance
    return lambda: float(distance(*_moments(real), *_moments(generated)))


def torch_fidelity_fid(real: Floats, generated: Floats) -> Timed:
    """Statistics and distance."""
    torch, fidelity = tool("torch"), tool("torch_fidelity.metric_fid")
    x, y = torch.from_numpy(real), torch.from_numpy(generated)

    def run() -> float:
        statistics = [fidelity.fid_features_to_statistics(rows) for rows in (y, x)]
        found = fidelity.fid_statistics_to_metric(*statistics, verbose=False)
        return float(found["frechet_inception_distance"])

    return run


def torchmetrics(name: str, **options: object) -> Contender:
    """One of its metrics of images, with features in the place of images."""

    def prepare(real: Floats, generated: Floats) -> Timed:
        torch, images = tool("torch"), tool("torchmetrics.image")
        as_they_are = torch.nn.Identity()
        as_they_are.num_features = real.shape[1]
        x, y = torch.from_numpy(real), torch.from_numpy(generated)

        def run() -> float:
            metric = getattr(images, name)(feature=as_they_are, **options)
            metric.update(x, real=True)
            metric.update(y, real=False)
            found = metric.compute()
            return float(found[0] if isinstance(found, tuple) else found)

        return run

    return prepare


def torch_fidelity_kid(real: Floats, generated: Floats) -> Timed:
    """Its 100 subsets of 1,000."""
    torch = tool("torch")
    kid = tool("torch_fidelity.metric_kid").kid_features_to_metric
    x, y = torch.from_numpy(real), torch.from_numpy(generated)
    return lambda: float(kid(y, x, kid_subset_size=SUBSET, verbose=False)["kernel_inception_distance_mean"])


def clean_fid_kid(real: Floats, generated: Floats) -> Timed:
    """Its 100 subsets of 1,000."""
    kid = tool("cleanfid.fid").kernel_distance
    return lambda: float(kid(real, generated, num_subsets=SUBSETS, max_subset_size=SUBSET))


def torch_fidelity_prc(real: Floats, generated: Floats) -> Timed:
    """Precision and recall."""
    torch = tool("torch")
    prc = tool("torch_fidelity.metric_prc").prc_features_to_metric
    x, y = torch.from_numpy(real), torch.from_numpy(generated)
    return lambda: float(prc(y, x, verbose=False)["precision"])


def prdc(real: Floats, generated: Floats) -> Timed:
    """All four."""
    compute = tool("prdc").compute_prdc
    return lambda: float(compute(real_features=real, fake_features=generated, nearest_k=5)["precision"])


def scikit_learn(real: Floats, generated: Floats) -> Timed:
    """The leave-one-out accuracy of its nearest neighbours, in the precision that this project decides in."""
    neighbors = tool("sklearn.neighbors")

    def run() -> float:
        union = np.concatenate([real, generated]).astype(np.float64)
        labels = np.arange(len(union)) < len(real)
        neighbours = neighbors.NearestNeighbors(n_neighbors=2).fit(union).kneighbors(union, return_distance=False)
        nearest = np.where(neighbours[:, 0] == np.arange(len(union)), neighbours[:, 1], neighbours[:, 0])
        return float((labels[nearest] == labels).mean())

    return run


def pot(real: Floats, generated: Floats) -> Timed:
    """The exact transport, with as many iterations as it needs."""
    ot = tool("ot")
    return lambda: float(ot.emd2([], [], ot.dist(real, generated, metric="euclidean"), numItermax=10**8))


CONTENDERS: dict[str, dict[str, Contender]] = {
    "fid": {
        OURS: ours("fid"),
        f"{OURS} with interval": ours("fid", intervals=True),
        FLOOR: covariances_alone,
        f"{FLOOR} with factor and eigenvalues": distance_alone,
        "torch-fidelity": torch_fidelity_fid,
        "torchmetrics": torchmetrics("FrechetInceptionDistance"),
        "pytorch-fid": pytorch_fid,
        "clean-fid": clean_fid,
    },
    "kid": {
        OURS: ours("kid"),
        f"{OURS} with interval": ours("kid", intervals=True),
        f"{OURS} in 100 subsets": ours("kid", subsets=SUBSETS),
        FLOOR: pairs_alone(np.float32),
        f"{FLOOR} in double precision": pairs_alone(np.float64),
        "torch-fidelity in 100 subsets": torch_fidelity_kid,
        "torchmetrics in 100 subsets": torchmetrics("KernelInceptionDistance", subsets=SUBSETS, subset_size=SUBSET),
        "clean-fid in 100 subsets": clean_fid_kid,
    },
    "prdc": {
        OURS: ours("precision", "recall", "density", "coverage"),
        f"{OURS} with intervals": ours("precision", "recall", "density", "coverage", intervals=True),
        FLOOR: pairs_alone(np.float32),
        "prdc": prdc,
        "torch-fidelity (precision and recall)": torch_fidelity_prc,
    },
    "one_nn": {
        OURS: ours("one_nn"),
        f"{OURS} with interval": ours("one_nn", intervals=True),
        FLOOR: pairs_alone(np.float32),
        "scikit-learn": scikit_learn,
    },
    "wasserstein": {OURS: ours("wasserstein"), "POT": pot},
}
