"""The sliced 1-Wasserstein distance (Bonneel et al. 2015, JMIV 51, section 3): the mean of W₁ over projections.

    SW₁ = mean over unit vectors θ of ∫ | F_θX(t) − F_θY(t) | dt

A lower bound of W₁ and no estimate of it: a metric of its own, in n log n, for sizes at which the exact one is out of
reach. The projections are drawn with a seed and are the same for all evaluations of one dimension.
"""

import numpy as np
from pydantic import Field

from service.metrics.distances import centre_of, tiles
from service.metrics.metric import NOT_ASKED, About, Metric, Score, Side, lacks_features
from service.metrics.samples import Real, Rows, check_pair
from service.metrics.uncertainty import EXPECTATION, Variances, influence_variance

AT_ONCE = 16  # projections of a block, so that memory does not grow with their number


class SlicedWasserstein(Metric):
    """The mean one-dimensional Wasserstein distance over projections."""

    about = About(
        title="Sliced Wasserstein distance",
        better="lower",
        generated="features",
        reference="features",
        samples="Some thousands a side; there is no upper limit.",
        use="Where the exact `wasserstein` is out of reach. It is a distance of its own and no estimate of that one.",
        parts={
            "projections": "Directions that were projected on.",
        },
    )

    projections: int = Field(128, ge=1, le=10_000, description="Directions to project on.")
    projection_seed: int = Field(0, ge=0, description="Seed that draws the directions.")

    def lacks(self, real: Side, generated: Side) -> str | None:
        """Features of both sides."""
        return lacks_features(real, generated)

    def measure(self, real: Side, generated: Side, *, intervals: bool = False, seed: int = 0) -> Score:  # noqa: ARG002
        """The distance; its interval is from the spread of the projections' dual potentials."""
        assert real.features is not None, "lacks() is asked first"
        assert generated.features is not None, "lacks() is asked first"
        check_pair(real.features, generated.features)
        directions = _directions(real.features.shape[1], self.projections, self.projection_seed)
        value, f, g = _sliced(real.features, generated.features, directions)
        details = {"projections": self.projections}
        if not intervals:
            return Score(value, details, interval=NOT_ASKED)
        variances = Variances(real=influence_variance(f), generated=influence_variance(g))
        return Score(value, details, interval=variances.interval(value, f"{EXPECTATION} and projections", lowest=0.0))


def _directions(dimensions: int, count: int, seed: int) -> Real:
    directions = np.random.default_rng(seed).standard_normal((dimensions, count))
    unit: Real = directions / np.linalg.norm(directions, axis=0)
    return unit


def _sliced(real: Rows, generated: Rows, directions: Real) -> tuple[float, Real, Real]:
    """The distance, and each sample's mean potential."""
    n, m, count = len(real), len(generated), directions.shape[1]
    centre = (centre_of(real) + centre_of(generated)) / 2
    weights = np.concatenate([np.full(n, 1 / n), np.full(m, -1 / m)])
    total, potentials = 0.0, np.zeros(n + m)
    for start in range(0, count, AT_ONCE):
        onto = directions[:, start : start + AT_ONCE]
        projected = np.vstack([tile @ onto for rows in (real, generated) for _, tile in tiles(rows, centre)])
        order = np.argsort(projected, axis=0, kind="stable")
        steps = np.diff(np.take_along_axis(projected, order, axis=0), axis=0)
        ahead = np.cumsum(weights[order], axis=0)[:-1]  # F_X − F_Y between two neighbours
        ahead[np.abs(ahead) < 1e-12] = 0.0
        total += float((np.abs(ahead) * steps).sum())
        slopes = np.cumsum(np.sign(ahead) * steps, axis=0)
        at = np.empty_like(projected)
        np.put_along_axis(at, order, np.concatenate([np.zeros((1, projected.shape[1])), slopes]), axis=0)
        potentials -= at.sum(axis=1)
    potentials /= count
    return total / count, potentials[:n], -potentials[n:]
