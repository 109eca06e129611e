"""The tiled computation against the definitions, on sets without ties, with copies, and on a lattice full of ties."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.metrics import distances
from service.metrics.metric import Side
from service.metrics.neighbours import neighbourhood
from service.metrics.registry import build_metric

Real = NDArray[np.float64]
METRICS = ("precision", "recall", "density", "coverage", "one_nn", "memorisation")


def smooth(n: int, seed: int) -> Real:
    return np.random.default_rng(seed).standard_normal((n, 3))


def lattice(n: int, seed: int) -> Real:
    return np.random.default_rng(seed).integers(0, 3, (n, 3)).astype(np.float64)


def copied(n: int, seed: int) -> Real:
    points = smooth(max(n // 3, 1), 99)
    return points[np.random.default_rng(seed).integers(0, len(points), n)]


def squares(a: Real, b: Real) -> Real:
    found: Real = np.square(a[:, None] - b[None]).sum(axis=2)
    return found


def definitions(x: Real, y: Real, k: int) -> dict[str, float]:
    """Every score by its definition, sample by sample."""
    n, m = len(x), len(y)
    xx, yy, xy = squares(x, x), squares(y, y), squares(x, y)
    np.fill_diagonal(xx, np.inf)
    np.fill_diagonal(yy, np.inf)
    real_radii, generated_radii = np.sort(xx, axis=1)[:, k - 1], np.sort(yy, axis=1)[:, k - 1]
    inside = xy < real_radii[:, None]
    union = np.block([[xx, xy], [xy.T, yy]])
    labels = np.arange(n + m) < n
    tied = union == union.min(axis=1, keepdims=True)
    same = labels[:, None] == labels[None]
    nearest = xy == xy.min(axis=0)
    close = xy <= xx.min(axis=1)[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((xy < generated_radii).any(axis=1).mean()),
        "density": float(inside.sum() / (k * m)),
        "coverage": float(inside.any(axis=1).mean()),
        "one_nn": float(((tied & same).sum(axis=1) / tied.sum(axis=1)).mean()),
        "memorisation": float(((nearest & close).sum(axis=0) / nearest.sum(axis=0)).mean()),
    }


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("draw", [smooth, lattice, copied])
@given(n=st.integers(4, 40), m=st.integers(4, 40), seed=st.integers(0, 10_000))
def test_scores_are_their_definitions(
    kind: type[np.floating[Any]], draw: Callable[[int, int], Real], n: int, m: int, seed: int
) -> None:
    x, y = draw(n, seed).astype(kind).astype(np.float64), draw(m, seed + 1).astype(kind).astype(np.float64)
    real, generated = Side(features=x.astype(kind)), Side(features=y.astype(kind))
    expected = definitions(x, y, 3)
    for name in METRICS:
        options = {"k": 3} if name in {"precision", "recall", "density", "coverage"} else {}
        found = build_metric(name, options).measure(real, generated, intervals=True)
        assert found.value == pytest.approx(expected[name], abs=1e-12), name


@pytest.mark.parametrize("draw", [smooth, lattice, copied])
def test_tiles_of_any_size_give_one_neighbourhood(
    draw: Callable[[int, int], Real], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = draw(50, 1), draw(41, 2)
    whole = neighbourhood(Side(features=x), Side(features=y), 5)
    monkeypatch.setattr(distances, "TILE_ROWS", 7)
    tiled = neighbourhood(Side(features=x), Side(features=y), 5)
    for found, expected in ((tiled.to_real, whole.to_real), (tiled.to_generated, whole.to_generated)):
        np.testing.assert_array_equal(found.squares, expected.squares)
        np.testing.assert_array_equal(found.of, expected.of)
        np.testing.assert_array_equal(found.to, expected.to)
    np.testing.assert_array_equal(tiled.real.radii, whole.real.radii)
    np.testing.assert_array_equal(tiled.in_shells, whole.in_shells)
    np.testing.assert_array_equal(tiled.in_real_balls.sole, whole.in_real_balls.sole)
    np.testing.assert_array_equal(tiled.holding.balls, whole.holding.balls)


@pytest.mark.parametrize("draw", [smooth, lattice, copied])
def test_single_precision_decides_nothing(draw: Callable[[int, int], Real]) -> None:
    x, y = draw(300, 1).astype(np.float32), draw(200, 2).astype(np.float32)
    y[:100] = x[:100] * np.float32(1 + 1e-6)
    fast = neighbourhood(Side(features=x), Side(features=y), 5)
    slow = neighbourhood(Side(features=x.astype(np.float64)), Side(features=y.astype(np.float64)), 5)
    np.testing.assert_array_equal(fast.to_real.squares, slow.to_real.squares)
    np.testing.assert_array_equal(fast.to_real.to, slow.to_real.to)
    np.testing.assert_array_equal(fast.in_shells, slow.in_shells)
    np.testing.assert_array_equal(fast.in_generated_balls.balls, slow.in_generated_balls.balls)
    np.testing.assert_array_equal(fast.holding.sole, slow.holding.sole)


def test_metrics_that_are_asked_together_share_one_computation() -> None:
    real, generated = Side(features=smooth(20, 1)), Side(features=smooth(20, 2))
    first = neighbourhood(real, generated, 5)
    for name in METRICS:
        build_metric(name).measure(real, generated)
    assert neighbourhood(real, generated, 5) is first
    assert neighbourhood(real, generated, 3) is not first


def test_an_offset_moves_no_neighbour() -> None:
    # multiples of 2⁻¹⁰, so that adding the offset rounds nothing
    x, y = (np.round(smooth(60, seed) * 1024) / 1024 for seed in (1, 2))
    for name in METRICS:
        near = build_metric(name).measure(Side(features=x), Side(features=y))
        far = build_metric(name).measure(Side(features=x + 2.0**20), Side(features=y + 2.0**20))
        assert near.value == far.value


@pytest.mark.parametrize("name", METRICS)
def test_a_thousand_copies_cost_no_more_than_one(name: str) -> None:
    constant = Side(features=np.ones((3000, 2)))
    mixed = Side(features=np.concatenate([np.ones((3000, 2)), smooth(50, 1)[:, :2]]))
    for sides in ((constant, mixed), (mixed, constant), (constant, constant)):
        score = build_metric(name).measure(*sides, intervals=True)
        assert 0 <= score.value <= 1


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_sets_without_a_k_th_neighbour_are_refused_before_anything_is_computed(name: str) -> None:
    few, enough = Side(features=smooth(5, 1)), Side(features=smooth(6, 2))
    assert build_metric(name).lacks(enough, few) == "more than 5 samples of each side; the generated set has 5"
    assert build_metric(name).lacks(few, enough) == "more than 5 samples of each side; the reference has 5"
    assert build_metric(name).lacks(enough, enough) is None


def on_a_shell(sign: int) -> Real:
    """Whole numbers about a far point, in directions that mirror each other: ties but for a unit here and there.

    To exchange the first two numbers or the last two is as far, in one set, as to turn the last one's sign, in another:
    (b − c)² + (c − b)² = (2 c)².
    """
    directions = [
        np.array(signs) * order
        for order in itertools.permutations((1_531_405, 965_707, 400_009))
        for signs in itertools.product((-1, 1), repeat=3)
        if np.prod(signs) == sign
    ]
    units = np.random.default_rng(2 + sign).integers(-1, 2, (len(directions), 3))
    return np.asarray(directions + units + 2.0**22)


def in_far_heaps(seed: int) -> Real:
    """A lattice full of ties in two heaps, so far apart that double precision rounds their products to hundreds."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.integers(0, 4, (50, 3)) + rng.choice([-(2.0**30), 2.0**30], (50, 1)))


@pytest.mark.parametrize(
    ("draw", "kind"), [(on_a_shell, np.float32), (on_a_shell, np.float64), (in_far_heaps, np.float64)]
)
def test_near_ties_far_from_the_origin_are_told_apart(
    draw: Callable[[int], Real], kind: type[np.floating[Any]]
) -> None:
    x, y = draw(1), draw(-1 if draw is on_a_shell else 2)
    expected = definitions(x, y, 2)
    real, generated = Side(features=x.astype(kind)), Side(features=y.astype(kind))
    for name in METRICS:
        options = {"k": 2} if name in {"precision", "recall", "density", "coverage"} else {}
        found = build_metric(name, options).measure(real, generated)
        assert found.value == pytest.approx(expected[name], abs=1e-12), name


@pytest.mark.parametrize("draw", [smooth, lattice, copied])
def test_a_shell_holds_the_samples_that_a_ball_gains_with_one_neighbour_more(draw: Callable[[int, int], Real]) -> None:
    x, y = draw(40, 1), draw(30, 2)
    around = neighbourhood(Side(features=x), Side(features=y), 3)
    apart = squares(x, x)
    np.fill_diagonal(apart, np.inf)
    third, fourth = np.sort(apart, axis=1)[:, 2:4].T
    to_generated = squares(x, y)
    shells = (to_generated < fourth[:, None]).sum(axis=1) - (to_generated < third[:, None]).sum(axis=1)
    np.testing.assert_array_equal(around.in_shells[around.real.points.of_sample], shells)
    held = np.bincount(around.real.points.of_sample, weights=(to_generated < third[:, None]).sum(axis=1))
    np.testing.assert_array_equal(around.holding.balls, held / around.real.points.counts)
    generated_third = np.sort(np.where(np.eye(30, dtype=bool), np.inf, squares(y, y)), axis=1)[:, 2]
    np.testing.assert_array_equal(
        around.in_generated_balls.balls[around.real.points.of_sample], (to_generated < generated_third).sum(axis=1)
    )
