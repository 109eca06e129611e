"""Kernels by name, and their means within and between two sets, in tiles of float64."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.metrics.distances import centre_of, squared_distances, tiles
from service.metrics.samples import Real, Rows, check_pair


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
        k **= self.degree
        return k


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of a kernel: its sums over each row and column, and the sum of its squares; pairs of a row with itself apart."""

    rows: Real
    columns: Real
    squares: float
    diagonal: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Discrepancy:
    """The kernel's sums over two sets, from which MMD² and its interval are read."""

    real: Sums
    generated: Sums
    across: Sums

    def mmd2(self, *, unbiased: bool = True) -> float:
        """MMD², as a U-statistic or as a V-statistic."""
        within = _mean_within(self.real, unbiased=unbiased) + _mean_within(self.generated, unbiased=unbiased)
        return within - 2 * float(self.across.rows.sum()) / (len(self.across.rows) * len(self.across.columns))


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
        k = kernel(a, a)
        diagonal += float(k.trace())
        np.fill_diagonal(k, 0.0)
        squares += float(np.vdot(k, k))
        sums[i : i + len(a)] += k.sum(axis=1)
        for j, b in tiles(rows, centre, start=i + len(a)):
            k = kernel(a, b)
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
