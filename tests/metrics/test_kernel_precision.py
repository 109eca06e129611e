import numpy as np
import pytest

from service.metrics import kernel_precision
from service.metrics.centred import centred
from service.metrics.distances import FloatType
from service.metrics.kernel_precision import discrepancies, discrepancies_of_parts, discrepancy
from service.metrics.kernel_sums import Together, sums_about, sums_over
from service.metrics.kernels import Gaussian, Kernel, Polynomial, RationalQuadratic
from service.metrics.samples import Rows

KERNELS: list[Kernel] = [Polynomial(), Gaussian(6.0), RationalQuadratic(6.0)]


def rectified(n: int, seed: int, shift: float = 0.0) -> Rows:
    """Features with many equal numbers, whose products are rounded to one side."""
    rng = np.random.default_rng(seed)
    factors = np.random.default_rng(0).standard_normal((8, 256)) / 4
    mixed = rng.standard_normal((n, 8)) @ factors + 0.3 * rng.standard_normal((n, 256)) + 0.2 + shift
    return np.maximum(mixed, 0).astype(np.float32)


X, Y = rectified(900, 1), rectified(800, 2, 0.05)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)
@pytest.mark.parametrize("other", [Y, rectified(900, 3), Y.astype(np.float64)], ids=["apart", "alike", "double"])
def test_products_of_single_precision_give_the_score_of_double(kernel: Kernel, other: Rows) -> None:
    [double], [single] = (sums_over(X, other, [kernel], kind) for kind in (np.float64, np.float32))
    assert single.mmd2() == pytest.approx(double.mmd2(), rel=1e-6, abs=1e-8)  # it scatters by 1e-3
    assert single.mmd2() != double.mmd2()
    for part in ("real", "generated", "across"):
        assert getattr(single, part).rows == pytest.approx(getattr(double, part).rows, rel=1e-7)
        assert getattr(single, part).columns == pytest.approx(getattr(double, part).columns, rel=1e-7)


def test_small_sets_are_computed_in_double_precision_and_large_ones_in_single(monkeypatch: pytest.MonkeyPatch) -> None:
    [double], [single] = (sums_over(X, Y, [Polynomial()], kind) for kind in (np.float64, np.float32))
    assert discrepancy(X, Y, Polynomial()).mmd2() == double.mmd2()
    monkeypatch.setattr(kernel_precision, "LARGE", 0)
    assert discrepancy(X, Y, Polynomial()).mmd2() == single.mmd2()


def test_a_kernels_sums_do_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_precision, "LARGE", 0)
    kernels = [Gaussian(0.01), *KERNELS]
    together = [sums.mmd2() for sums in discrepancies(X, Y, kernels)]
    assert together == [discrepancy(X, Y, kernel).mmd2() for kernel in kernels]


def test_a_bandwidth_at_which_rounding_is_seen_takes_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    [double] = sums_over(X, Y, [Gaussian(0.01)], np.float64)
    monkeypatch.setattr(kernel_precision, "LARGE", 0)
    assert discrepancy(X, Y, Gaussian(0.01)).mmd2() == double.mmd2()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_features_whose_products_single_precision_does_not_hold_take_double(
    monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    [double] = sums_over(X * scale, Y * scale, [Gaussian(6 * scale)], np.float64)
    monkeypatch.setattr(kernel_precision, "LARGE", 0)
    assert discrepancy(X * scale, Y * scale, Gaussian(6 * scale)).mmd2() == double.mmd2()


def test_double_precision_is_taken_where_rounding_is_more_than_nothing_of_the_scatter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [double] = sums_over(X, Y, [Polynomial()], np.float64)
    monkeypatch.setattr(kernel_precision, "LARGE", 0)
    monkeypatch.setattr(kernel_precision, "SHARE", 1e-9)
    assert discrepancy(X, Y, Polynomial()).mmd2() == double.mmd2()


def test_parts_of_two_sets_are_measured_as_sets_of_their_own() -> None:
    parts = [(np.arange(10, 500), np.arange(300)), (np.arange(0, 900, 3), np.arange(799, 0, -2))]
    for kernel in KERNELS:
        found = discrepancies_of_parts(X, Y, parts, kernel, 1)
        in_single = discrepancies_of_parts(X, Y, parts, kernel, 1 << 40)
        for (i, j), sums, faster in zip(parts, found, in_single, strict=True):
            right = discrepancy(X[i], Y[j], kernel).mmd2()
            assert sums.mmd2() == pytest.approx(right, rel=1e-10)
            assert faster.mmd2() == pytest.approx(right, rel=1e-6)
            assert faster.mmd2() != sums.mmd2()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)
@pytest.mark.parametrize(("n", "m"), [(300, 257), (33, 20), (32, 64)])
def test_products_that_come_in_one_add_up_to_what_those_of_tiles_do(
    kernel: Kernel, kind: FloatType, n: int, m: int
) -> None:
    x, y = centred(X[:n], Y[:m])
    found = Together(x, y, kernel, kind).sums(np.arange(n), np.arange(m))
    [expected] = sums_about((x, y), (x, y), [kernel], kind)
    digits = 1e-6 if kind is np.float32 else 1e-12
    for part in ("real", "generated", "across"):
        one, other = getattr(found, part), getattr(expected, part)
        assert one.rows == pytest.approx(other.rows, rel=digits)
        assert one.columns == pytest.approx(other.columns, rel=digits)
        assert (one.squares, one.diagonal) == pytest.approx((other.squares, other.diagonal), rel=10 * digits)


def test_parts_too_large_for_that_are_measured_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [(np.arange(0, 900, 3), np.arange(0, 800, 2))]
    [together] = discrepancies_of_parts(X, Y, parts, Polynomial(), 1)
    monkeypatch.setattr(kernel_precision, "TOGETHER", 699)
    [in_tiles] = discrepancies_of_parts(X, Y, parts, Polynomial(), 1)
    assert in_tiles.mmd2() == pytest.approx(together.mmd2(), rel=1e-10)
