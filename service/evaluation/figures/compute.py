"""Choosing the figures of an evaluation: bounded work on a bounded part of the samples, the same for the same seed."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.evaluation.figures.data import Classes, Curve, Figures, Pairs, Projection, Typicality
from service.evaluation.samples.album import Album, Images
from service.imaging import Pixels, conform
from service.metrics.distances import exact_squares, squared_distances
from service.metrics.frechet import Gaussian, gaussian_of, root_of
from service.metrics.metric import Side
from service.metrics.samples import Real, Rows, check_features
from service.metrics.statistics import Statistics

Indices = NDArray[np.intp]

POINTS = 1200
"""Points of each set in the projection."""
SUBSPACE = 8
SUBSPACE_STEPS = 20
THUMBNAILS = 12
THUMBNAIL_SIDE = 96
NEIGHBOUR = 5
"""A sample is as typical as its fifth nearest real sample is near: one that is close may be a coincidence."""
SEARCH_PRODUCTS = 10_000_000_000
"""Multiplications that the search for neighbours may take: about a second of one core."""
SEARCH_TILE = 128
SEARCH_GROUP = 16
"""Distances of which the least is looked at first."""
SEARCH_MOST = 8
"""Times as many as are looked for, beyond which ties are cut: copies of one sample are as near as each other."""
SPACING_ROWS = 1000
CURVE_HALVINGS = 7
CURVE_REPEATS = 3
CURVE_FEWEST = 16
CURVE_PRODUCTS = 2_000_000_000
"""Multiplications that one size of the curve may take."""
CURVE_NUMBERS = 4_000_000
"""Numbers in the largest part that the curve takes into memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """One side: what the metrics saw of it, and its images in the same order, if it had any."""

    side: Side
    images: Images | None = None


def compute_figures(
    generated: Lot, reference: Lot, *, labels: Sequence[str] = (), curve: bool = True, seed: int = 0
) -> Figures:
    """Whatever figures the two sides allow: none of sides that cannot be measured.

    `labels` name the classes, where they are known; without `curve` FID is not looked at.
    """
    made, real = generated.side, reference.side
    if not (_is_measurable(made) and _is_measurable(real)):
        return Figures()
    rng = np.random.default_rng(seed)
    figures: dict[str, object] = {}
    if made.probabilities is not None and real.probabilities is not None:
        figures["classes"] = _classes(real.probabilities, made.probabilities, labels)
    if made.features is None:
        return Figures(**figures)  # type: ignore[arg-type]
    if curve:
        figures["curve"] = _curve(real, made.features, rng)
    if real.features is not None:
        figures["projection"] = _project(_some(real.features, POINTS, rng), _some(made.features, POINTS, rng))
        if generated.images is not None:
            figures |= _neighbours(generated, reference, rng)
    return Figures(**figures)  # type: ignore[arg-type]


def _is_measurable(side: Side) -> bool:
    """Whether there is no NaN or infinity in what is known of a side: LAPACK given one may crash the process."""
    try:
        for rows in (side.features, side.probabilities):
            if rows is not None:
                check_features(rows, "shown", fewest=1)
    except InvalidSamples:
        return False
    return True


def _classes(real: Rows, generated: Rows, labels: Sequence[str]) -> Classes | None:
    count = real.shape[1]
    if generated.shape[1] != count:
        return None
    names = labels if len(labels) == count else [str(index) for index in range(count)]
    shares = [np.bincount(side.argmax(axis=1), minlength=count) / len(side) for side in (real, generated)]
    return Classes(np.array(names, np.str_), *shares)


def _project(real: Real, generated: Real) -> Projection:
    """The first two principal components of both sets together, each of equal weight."""
    weights = np.repeat([1 / len(real), 1 / len(generated)], [len(real), len(generated)])
    centred = np.concatenate([real, generated]) - (real.mean(axis=0) + generated.mean(axis=0)) / 2
    spread, axes = _principal(centred * np.sqrt(weights / 2)[:, None])
    signs = np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)
    points = centred @ (axes * signs[:, None]).T
    total = float((np.square(centred).sum(axis=1) @ weights) / 2)
    return Projection(points[: len(real)], points[len(real) :], spread / total if total > 0 else np.zeros(2))


def _principal(rows: Real) -> tuple[Real, Real]:
    """The two largest eigenvalues (2,) of rowsᵀ rows and their directions (2, d), by subspace iteration.

    A full decomposition of 2,048 dimensions takes longer than all of the metrics; this is close enough to look at.
    """
    dimensions = rows.shape[1]
    basis: Real = np.random.default_rng(0).standard_normal((dimensions, min(SUBSPACE, dimensions)))
    for _ in range(SUBSPACE_STEPS):
        basis = np.linalg.qr(rows.T @ (rows @ basis)).Q
    _, singular, turn = np.linalg.svd(rows @ basis, full_matrices=False)
    values, axes = np.zeros(2), np.zeros((2, dimensions))
    values[: len(singular[:2])], axes[: len(turn[:2])] = np.square(singular[:2]), (basis @ turn.T).T[:2]
    return values, axes


def _neighbours(generated: Lot, reference: Lot, rng: np.random.Generator) -> dict[str, object]:
    """The pairs and the typical samples, from one search."""
    assert generated.side.features is not None
    assert generated.images is not None
    assert reference.side.features is not None
    made_rows, real_rows = _searched(generated.side.features, reference.side.features, rng)
    real = _features(reference.side.features, real_rows)
    if not len(made_rows) or not len(real):
        return {}
    distances, nearest = _search(generated.side.features, made_rows, real, min(NEIGHBOUR, len(real)))
    shown = min(THUMBNAILS, len(made_rows))
    first = np.argsort(distances[:, 0], kind="stable")[:shown]
    pairs = Pairs(
        _thumbnails(generated.images, made_rows[first]),
        _thumbnails(reference.images, real_rows[nearest[first, 0]]),
        distances[first, 0],
        np.array([np.median(distances[:, 0]), _spacing(real)]),
        np.array([len(made_rows), len(real)]),
    )
    far = distances[:, -1]
    order = np.argsort(far, kind="stable")
    most, least = order[:shown], order[::-1][:shown]
    typicality = Typicality(
        _thumbnails(generated.images, made_rows[most]),
        _thumbnails(generated.images, made_rows[least]),
        np.stack([far[most], far[least]]),
    )
    return {"pairs": pairs, "typicality": typicality}


def _searched(made: Rows, real: Rows, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """The rows of both sides that are compared: all, or equal shares of both that the budget allows."""
    products = len(made) * len(real) * made.shape[1]
    share = min(1.0, (SEARCH_PRODUCTS / max(products, 1)) ** 0.5)
    return _chosen(len(made), int(len(made) * share), rng), _chosen(len(real), int(len(real) * share), rng)


def _search(features: Rows, rows: Indices, real: Real, k: int) -> tuple[Real, Indices]:
    """Distances (n, k) of some rows of features to their k nearest real ones, ascending, and their indices (n, k).

    Features are read tile by tile: they may be more than memory holds.
    """
    centre = real.mean(axis=0)
    targets = real - centre
    distances, nearest = np.empty((len(rows), k)), np.empty((len(rows), k), np.intp)
    for start in range(0, len(rows), SEARCH_TILE):
        tile = _features(features, rows[start : start + SEARCH_TILE])
        i, j = _near(squared_distances(tile - centre, targets), k)
        exact = exact_squares(tile, real, i, j)
        order = np.lexsort((j, exact, i))
        first = order[np.searchsorted(i, np.arange(len(tile)))[:, None] + np.arange(k)]
        distances[start : start + len(tile)] = np.sqrt(exact[first])
        nearest[start : start + len(tile)] = j[first]
    return distances, nearest


def _near(squares: Real, k: int) -> tuple[Indices, Indices]:
    """Rows and columns, row by row, of each row's k least numbers and perhaps of some more.

    No number that is larger than the k-th of the least in some groups of columns can be one of them.
    """
    rows, columns = squares.shape
    groups = columns // SEARCH_GROUP
    if groups >= k:
        least = squares[:, : groups * SEARCH_GROUP].reshape(rows, SEARCH_GROUP, groups).min(axis=1)
        bounds = np.partition(least, k - 1, axis=1)[:, k - 1 : k]
        i, j = np.divmod(np.flatnonzero(squares <= bounds), columns)
        if len(i) <= SEARCH_MOST * k * rows:
            return i, j
    return np.repeat(np.arange(rows), k), np.argpartition(squares, k - 1, axis=1)[:, :k].ravel()


def _spacing(real: Real) -> float:
    """The median distance of some real samples to the nearest other one; NaN where there is no other."""
    if len(real) < 2:
        return math.nan
    some = np.arange(0, len(real), -(-len(real) // SPACING_ROWS))
    distances, _ = _search(real, some, real, 2)
    return float(np.median(distances[:, 1]))


def _curve(real: Side, generated: Rows, rng: np.random.Generator) -> Curve | None:
    """FID of the halves, quarters, … of the generated set: the real side's root R is taken once.

    tr (Σx Σy)^½ is the nuclear norm of Y Rᵀ, where Y is the centred part over √(n − 1).
    """
    if real.statistics is None and real.features is None:
        return None
    repeats = {size: _repeats(size, len(generated[0])) for size in _halves(len(generated))}
    sizes = [size for size, count in repeats.items() if count]
    if not sizes:
        return None
    reference: Gaussian = real.statistics or gaussian_of(np.asarray(real.features), "reference")
    root = _root(reference)
    values = np.full((len(sizes), CURVE_REPEATS), np.nan)
    for row, size in enumerate(sizes):
        for repeat in range(repeats[size]):
            part = _some(generated, size, rng)
            mean = part.mean(axis=0)
            part -= mean
            part /= np.sqrt(size - 1)
            step, spread = reference.mean - mean, float(np.vdot(part, part))
            score = step @ step + np.square(root).sum() + spread - 2 * _nuclear_norm(part @ root.T)
            values[row, repeat] = max(float(score), 0.0)
    return Curve(np.array(sizes), values)


def _halves(count: int) -> list[int]:
    sizes = [count // 2**halving for halving in range(CURVE_HALVINGS, 0, -1)]
    return [size for size in sizes if size >= CURVE_FEWEST]


def _repeats(size: int, dimensions: int) -> int:
    """How often FID at a size can be afforded: a product with the root, and the eigenvalues of a Gram matrix."""
    if size * dimensions > CURVE_NUMBERS:
        return 0
    products = size * dimensions**2 + 8 * min(size, dimensions) ** 3
    return min(CURVE_REPEATS, CURVE_PRODUCTS // products)


def _root(gaussian: Gaussian) -> Real:
    """R (r, d) with Rᵀ R = Σ; the quick one is good enough to look at."""
    if isinstance(gaussian, Statistics):
        with suppress(np.linalg.LinAlgError):
            return np.asarray(np.linalg.cholesky(gaussian.covariance).T, np.float64)
    return root_of(gaussian)


def _nuclear_norm(product: Real) -> float:
    gram = product @ product.T if len(product) < product.shape[1] else product.T @ product
    return float(np.sqrt(np.linalg.eigvalsh(gram).clip(0)).sum())


def _some(rows: Rows, count: int, rng: np.random.Generator) -> Real:
    return _features(rows, _chosen(len(rows), count, rng))


def _features(rows: Rows, chosen: Indices) -> Real:
    found: Real = np.asarray(rows[chosen], np.float64)
    return found


def _chosen(total: int, count: int, rng: np.random.Generator) -> Indices:
    """`count` of `total` rows, ascending; all where there are no more."""
    return np.arange(total) if total <= count else np.sort(rng.permutation(total)[:count])


def _thumbnails(images: Images | None, rows: Indices) -> Pixels:
    """The images of these rows, the longer side at most 96 pixels; none where there are none.

    Of images of several sizes the middle squares.
    """
    if images is None:
        return np.empty((0, 0, 0, 1), np.uint8)
    if isinstance(images, Album):
        square, channels = (THUMBNAIL_SIDE, THUMBNAIL_SIDE), images[0].shape[2]
        cut = (conform(images[row], size=square, channels=channels, shorter=THUMBNAIL_SIDE) for row in rows)
        return np.stack(list(cut))
    height, width, channels = images.shape[1:]
    share = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = max(1, round(height * share)), max(1, round(width * share))
    return np.stack([conform(np.asarray(images[row]), size=size, channels=channels) for row in rows])
