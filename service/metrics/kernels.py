"""Kernels by name, and their means within and between two sets, in tiles of float64."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.metrics.distances import centre_of, squared_distances, tiles
from service.metrics.samples import Real, Rows, check_pair
from service.metrics.uncertainty import Variances


class Kernel(Protocol):
    """k(a, b) of all pairs of rows."""

    @property
    def shifts(self) -> bool:
        """Whether adding one vector to all rows changes nothing."""
        ...

    def __call__(self, a: Real, b: Real) -> Real:
        """The kernel (p, q) of rows (p, d) and (q, d)."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """exp( −‖a − b‖² / 2σ² )."""

    sigma: float
    shifts: bool = True

    def __call__(self, a: Real, b: Real) -> Real:
        """The kernel of all pairs."""
        k = squared_distances(a, b)
        k *= -1 / (2 * self.sigma * self.sigma)
        return np.exp(k, out=k)


@dataclass(frozen=True, slots=True)
class RationalQuadratic:
    """1 / ( 1 + ‖a − b‖² / 2σ² )."""

    sigma: float
    shifts: bool = True

    def __call__(self, a: Real, b: Real) -> Real:
        """The kernel of all pairs."""
        k = squared_distances(a, b)
        k /= 2 * self.sigma * self.sigma
        k += 1
        return np.reciprocal(k, out=k)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """( a·b / d + 1 )ᵖ, p = 3 as in KID."""

    degree: int = 3
    shifts: bool = False

    def __call__(self, a: Real, b: Real) -> Real:
        """The kernel of all pairs."""
        k = a @ b.T
        k /= a.shape[1]
        k += 1
        power = k.copy()
        for _ in range(self.degree - 1):
            power *= k
        return power


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of a kernel: its sums over each row and column, and the sum of its squares; pairs of a row with itself apart."""

    rows: Real
    columns: Real
    squares: float
    diagonal: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Discrepancy:
    """The kernel's sums over two sets, from which MMD² and its variance are read."""

    real: Sums
    generated: Sums
    across: Sums

    def mmd2(self, *, unbiased: bool = True) -> float:
        """MMD², as a U-statistic or as a V-statistic."""
        within = _mean_within(self.real, unbiased=unbiased) + _mean_within(self.generated, unbiased=unbiased)
        return within - 2 * float(self.across.rows.sum()) / (len(self.across.rows) * len(self.across.columns))

    def variances(self) -> Variances:
        """The variance of the U-statistic by Hoeffding's decomposition (Serfling 1980, section 5.2), unbiased.

        Twice the rows' spread is the jackknife; it holds the part of order two twice, of which one is taken off.
        """
        n, m = len(self.real.rows), len(self.generated.rows)
        a, c = self.real.rows / (n - 1), self.generated.rows / (m - 1)
        b, e = self.across.rows / m, self.across.columns / n
        shared = 2 * _second_order_across(self.across, b, e) / (n * m)
        parts = []
        for spread, second, count in (
            (a - b, _second_order_within(self.real, a), n),
            (c - e, _second_order_within(self.generated, c), m),
        ):
            second_order = max(2 * second / (count * (count - 1)) + shared, 0.0)
            parts.append(max(4 * float(spread.var(ddof=1)) / count - second_order, second_order))
        return Variances(real=parts[0], generated=parts[1])


def discrepancy(real: Rows, generated: Rows, kernel: Kernel) -> Discrepancy:
    """The kernel's sums over features (n, d) and (m, d). Raises InvalidSamples."""
    check_pair(real, generated)
    return Discrepancy(
        _sums_within(real, kernel), _sums_within(generated, kernel), _sums_across(real, generated, kernel)
    )


def _sums_within(rows: Rows, kernel: Kernel) -> Sums:
    centre = _centre(kernel, rows)
    sums, squares, diagonal = np.zeros(len(rows)), 0.0, 0.0
    for i, a in tiles(rows, centre):
        for j, b in tiles(rows, centre, start=i):
            k = kernel(a, b)
            if i == j:
                diagonal += float(k.trace())
                np.fill_diagonal(k, 0.0)
                squares += float(np.vdot(k, k))
            else:
                squares += 2 * float(np.vdot(k, k))
                sums[j : j + len(b)] += k.sum(axis=0)
            sums[i : i + len(a)] += k.sum(axis=1)
    return Sums(sums, sums, squares, diagonal)


def _sums_across(x: Rows, y: Rows, kernel: Kernel) -> Sums:
    centre = (_centre(kernel, x) + _centre(kernel, y)) / 2
    rows, columns, squares = np.zeros(len(x)), np.zeros(len(y)), 0.0
    for i, a in tiles(x, centre):
        for j, b in tiles(y, centre):
            k = kernel(a, b)
            rows[i : i + len(a)] += k.sum(axis=1)
            columns[j : j + len(b)] += k.sum(axis=0)
            squares += float(np.vdot(k, k))
    return Sums(rows, columns, squares)


def _centre(kernel: Kernel, rows: Rows) -> Real:
    return centre_of(rows) if kernel.shifts else np.zeros(rows.shape[1])


def _mean_within(sums: Sums, *, unbiased: bool) -> float:
    n, total = len(sums.rows), float(sums.rows.sum())
    return total / (n * (n - 1)) if unbiased else (total + sums.diagonal) / (n * n)


def _second_order_within(sums: Sums, means: Real) -> float:
    """Variance of k(x, x') that neither of the two explains alone."""
    n = len(means)
    return sums.squares / (n * (n - 1)) - 2 * float(np.square(means).mean()) + float(means.mean()) ** 2


def _second_order_across(sums: Sums, rows: Real, columns: Real) -> float:
    explained = float(np.square(rows).mean()) + float(np.square(columns).mean()) - float(rows.mean()) ** 2
    return sums.squares / (len(rows) * len(columns)) - explained
