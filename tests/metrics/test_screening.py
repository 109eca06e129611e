import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics import screening
from service.metrics.distances import FloatType, exact_squares
from service.metrics.screening import Pairs, Screens, Shortlist, screens_of, spacing_of

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int) -> Real:
    return np.random.default_rng(seed).standard_normal((n, d))


def errors(screens: Screens) -> Real:
    found = []
    for tile in screens.across():
        i, j = (index.ravel() for index in np.indices(tile.squares.shape))
        pairs = Pairs(i + tile.i, j + tile.j, tile.squares.ravel())
        found.append(np.abs(pairs.squares - screens.exact(pairs)))
    return np.concatenate(found)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-6, 0.0), (1.0, 50.0), (1e-30, 0.0), (1e40, 1e41)])
def test_the_margin_bounds_the_error_of_the_fast_distances(kind: FloatType, scale: float, offset: float) -> None:
    x, y = rows(40, 300, 1) * scale + offset, rows(30, 300, 2) * scale + offset
    screens = screens_of(x, y, np.inf if kind is np.float32 else 0.0)
    assert screens.x.kind is kind
    assert 0 < errors(screens).max() <= screens.margin


def test_the_margin_bounds_the_error_at_the_size_of_inception() -> None:
    x, y = rows(40, 2048, 1).astype(np.float32), rows(30, 2048, 2).astype(np.float32)
    screens = screens_of(x, y, np.inf)
    assert 0 < errors(screens).max() <= screens.margin


def test_single_precision_is_left_where_neighbours_lie_too_close_for_it() -> None:
    apart = rows(200, 8, 1)
    together = 1e-4 * apart
    together[0] = 1e3
    assert screens_of(apart, apart, spacing_of(apart, 3)).x.kind is np.float32
    assert screens_of(together, together, spacing_of(together, 3)).x.kind is np.float64


def test_the_spacing_is_that_of_the_kth_neighbours() -> None:
    line = np.arange(50.0)[:, None]
    assert spacing_of(line, 2) == pytest.approx(1)
    assert spacing_of(line, 4) == pytest.approx(4)


def test_pairs_by_row_are_those_in_order_also_below_zero() -> None:
    squares = np.array([0.5, -1e-7, 2.0, 0.0, -3e-7, 1e-30, 7.0, 0.25], np.float32)
    pairs = Pairs(np.array([1, 0, 0, 1, 0, 0, 1, 0]), np.arange(8), squares)
    assert pairs.by_row().to.tolist() == pairs.in_order().to.tolist() == [4, 1, 5, 7, 2, 3, 0, 6]


def test_a_shortlist_keeps_the_few_nearest_whatever_the_order_of_the_tiles() -> None:
    x = rows(60, 3, 1)
    screens = screens_of(x, x, np.inf)
    i, j = (index.ravel() for index in np.indices((60, 60)))
    squares = exact_squares(x, x, i, j).reshape(60, 60)
    np.fill_diagonal(squares, np.inf)
    nearest = np.argsort(squares, axis=1)[:, :4]
    for order in (slice(None), slice(None, None, -1)):
        shortlist = Shortlist(60, 4, screens.margin)
        for start in list(range(0, 60, 7))[order]:
            shortlist.add(screening.Tile(0, start, squares[:, start : start + 7]))
        pairs = shortlist.pairs()
        for row in range(60):
            assert set(nearest[row]) <= set(pairs.to[pairs.of == row])
        assert len(pairs.of) < 60 * 6
