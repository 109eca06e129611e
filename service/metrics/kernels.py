"""Kernels by name, and their means within and between two sets, in tiles of float64.

Each is a function of one number a pair, z = scale · a·b + term(a) + term(b), of rows that share a centre. In many
dimensions the products are most of the work, and several kernels use the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from service.errors import InvalidSamples
from service.metrics.centred import Centred, centred
from service.metrics.distances import CLOSE, Room, exact_squares
from service.metrics.samples import Real, Rows, check_pair

EPS = float(np.finfo(np.float64).eps)
NOTICED = 1e-11
"""Squared bandwidths by which the rounding of a product may move a distance before it is computed again."""
SEEN = 1e-2
"""Share of a score that rounding may be."""
NEGLIGIBLE = 1e-12
"""What rounding may be of any score: a kernel of rows that are 0 is 1."""
STRIP_ROWS = 32
"""Rows of a tile whose copy stays in the processor's cache."""


class Kernel(Protocol):
    """k(z) of all pairs of rows."""

    def scale(self, dimensions: int) -> float:
        """What the product of two centred rows is multiplied by in z."""
        ...

    def terms(self, rows: Centred) -> Real:
        """What each row (n,) adds to z."""
        ...

    def __call__(self, z: Real) -> Real:
        """The kernel of these z, in their place."""
        ...


class Radial(Kernel, Protocol):
    """A kernel of the distance alone, which at a small bandwidth wants more digits of it than products keep."""

    sigma: float

    def z_of(self, squares: Real) -> Real:
        """Z of squared distances."""
        ...

    def squares_of(self, z: Real) -> Real:
        """The squared distances of these z."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """exp( −‖a − b‖² / 2σ² )."""

    sigma: float

    def scale(self, dimensions: int) -> float:  # noqa: ARG002
        """Of a·b."""
        return 1 / (self.sigma * self.sigma)

    def terms(self, rows: Centred) -> Real:
        """−‖a‖² / 2σ²."""
        return rows.norms * (-1 / (2 * self.sigma * self.sigma))

    def z_of(self, squares: Real) -> Real:
        """−‖a − b‖² / 2σ²."""
        return squares / (-2 * self.sigma * self.sigma)

    def squares_of(self, z: Real) -> Real:
        """Its inverse."""
        return z * (-2 * self.sigma * self.sigma)

    def __call__(self, z: Real) -> Real:
        """The exponential; rounding may leave the z of copies above zero."""
        np.minimum(z, 0.0, out=z)
        return np.exp(z, out=z)


@dataclass(frozen=True, slots=True)
class RationalQuadratic:
    """1 / ( 1 + ‖a − b‖² / 2σ² )."""

    sigma: float

    def scale(self, dimensions: int) -> float:  # noqa: ARG002
        """Of a·b."""
        return -1 / (self.sigma * self.sigma)

    def terms(self, rows: Centred) -> Real:
        """½ + ‖a‖² / 2σ²."""
        return rows.norms / (2 * self.sigma * self.sigma) + 0.5

    def z_of(self, squares: Real) -> Real:
        """1 + ‖a − b‖² / 2σ²."""
        return 1 + squares / (2 * self.sigma * self.sigma)

    def squares_of(self, z: Real) -> Real:
        """Its inverse."""
        return (z - 1) * (2 * self.sigma * self.sigma)

    def __call__(self, z: Real) -> Real:
        """The reciprocal; rounding may leave the z of copies below one."""
        np.maximum(z, 1.0, out=z)
        return np.reciprocal(z, out=z)


@dataclass(frozen=True, slots=True)
class Polynomial:
    """( a·b / d + 1 )ᵖ, p = 3 as in KID."""

    degree: int = 3

    def scale(self, dimensions: int) -> float:
        """Of the product of rows that are centred."""
        return 1 / dimensions

    def terms(self, rows: Centred) -> Real:
        """What the centre c adds: (a + c)·(b + c) = a·b + a·c + b·c + c·c."""
        d, c = len(rows.centre), rows.centre
        return rows.along / d + (float(c @ c) / d + 1) / 2

    def __call__(self, z: Real) -> Real:
        """The power, by products: numpy raises to one several times as slowly."""
        for start in range(0, len(z), STRIP_ROWS):
            strip = z[start : start + STRIP_ROWS]
            base = strip.copy()
            for _ in range(self.degree - 1):
                strip *= base
        return z


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
        """MMD², as a U-statistic or as a V-statistic. Raises InvalidSamples where rounding decides it."""
        within = _mean_within(self.real, unbiased=unbiased) + _mean_within(self.generated, unbiased=unbiased)
        value = within - 2 * float(self.across.rows.sum()) / (len(self.across.rows) * len(self.across.columns))
        self._check_digits(value)
        return value

    def _check_digits(self, value: float) -> None:
        """Refuse a difference of means that are so large that little of it is left after rounding."""
        noise = EPS * (_size_of(self.real) + _size_of(self.generated) + 2 * _size_of(self.across))
        if value and not noise <= max(SEEN * abs(value), NEGLIGIBLE):
            raise InvalidSamples(
                f"The kernel's means differ by {value:.2g}, which is known to ±{noise:.2g} only: the features are too"
                " large for it. Divide them by their scale first, and take off what all of them share."
            )


def discrepancy(real: Rows, generated: Rows, kernel: Kernel) -> Discrepancy:
    """The kernel's sums over features (n, d) and (m, d). Raises InvalidSamples."""
    return discrepancies(real, generated, [kernel])[0]


def discrepancies(real: Rows, generated: Rows, kernels: Sequence[Kernel]) -> tuple[Discrepancy, ...]:
    """The sums of each kernel, in the time of little more than one. Raises InvalidSamples."""
    check_pair(real, generated)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused where the score is read
        within = [_within(centred(rows)[0], kernels) for rows in (real, generated)]  # each about its own centre
        x, y = centred(real, generated)
        three = *within, _across(x, y, kernels)
    return tuple(Discrepancy(*sums) for sums in zip(*three, strict=True))


def matrix(rows: Rows, kernel: Kernel) -> Real:
    """The kernel (n, n) of one set."""
    (x,) = centred(rows)
    moved = rows - x.centre
    tally = _Tally(kernel, x, x)
    return tally.kernel_of(moved @ moved.T, slice(None), slice(None))


class _Tally:
    """A kernel's sums, as the products come."""

    def __init__(self, kernel: Kernel, x: Centred, y: Centred) -> None:
        self._kernel, self._x, self._y = kernel, x, y
        self._sharp = _is_sharp(kernel, x, y)
        self._scale = kernel.scale(len(x.centre))
        self._of_x, self._of_y = kernel.terms(x), kernel.terms(y)
        self._room = Room()
        self.rows, self.columns, self.squares = np.zeros(len(x)), np.zeros(len(y)), 0.0

    def kernel_of(self, products: Real, rows: slice, columns: slice) -> Real:
        """The kernel of these rows and columns, from their products."""
        z = np.multiply(products, self._scale, out=self._room.of(products.shape, np.float64))
        z += self._of_x[rows, None]
        z += self._of_y[columns]
        if self._sharp:
            self._sharpen(z, rows, columns)
        return self._kernel(z)

    def _sharpen(self, z: Real, rows: slice, columns: slice) -> None:
        """Compute the small distances again, whose digits the products have lost: those of copies are 0."""
        kernel = cast("Radial", self._kernel)
        scale = self._x.norms[rows, None] + self._y.norms[columns]
        i, j = np.nonzero(kernel.squares_of(z) < CLOSE * scale)
        of_x, of_y = (np.arange(len(side))[part] for side, part in ((self._x, rows), (self._y, columns)))
        z[i, j] = kernel.z_of(exact_squares(self._x.rows, self._y.rows, of_x[i], of_y[j]))

    def add(self, products: Real, i: int, j: int) -> None:
        """Take the products of the rows from i on and the columns from j on."""
        rows, columns = slice(i, i + len(products)), slice(j, j + products.shape[1])
        k = self.kernel_of(products, rows, columns)
        self.rows[rows] += k.sum(axis=1)
        self.columns[columns] += k.sum(axis=0)
        self.squares += float(np.vdot(k, k))

    def add_own(self, products: Real, i: int) -> float:
        """Take the products of a block of rows with themselves; what its diagonal, which is left out, adds up to."""
        rows = slice(i, i + len(products))
        k = self.kernel_of(products, rows, rows)
        diagonal = float(k.trace())
        np.fill_diagonal(k, 0.0)
        self.rows[rows] += k.sum(axis=1)
        self.squares += float(np.vdot(k, k)) / 2  # the other blocks are seen from one side only
        return diagonal


def _is_sharp(kernel: Kernel, x: Centred, y: Centred) -> bool:
    """Whether rounding of the products would be seen at the kernel's bandwidth."""
    if isinstance(kernel, Polynomial):
        return False
    lost = EPS * (float(x.norms.max()) + float(y.norms.max()))
    sigma = cast("Radial", kernel).sigma
    return lost > NOTICED * sigma * sigma


def _within(x: Centred, kernels: Sequence[Kernel]) -> list[Sums]:
    tallies = [_Tally(kernel, x, x) for kernel in kernels]
    diagonals = [0.0 for _ in kernels]
    room = Room()
    for i, a in x.tiles():
        products = _products(a, a, room)
        for place, tally in enumerate(tallies):
            diagonals[place] += tally.add_own(products, i)
        for j, b in x.tiles(start=i + len(a)):
            products = _products(a, b, room)
            for tally in tallies:
                tally.add(products, i, j)
    found = []
    for tally, diagonal in zip(tallies, diagonals, strict=True):
        sums = tally.rows + tally.columns
        found.append(Sums(sums, sums, 2 * tally.squares, diagonal))
    return found


def _across(x: Centred, y: Centred, kernels: Sequence[Kernel]) -> list[Sums]:
    tallies = [_Tally(kernel, x, y) for kernel in kernels]
    room = Room()
    for i, a in x.tiles():
        for j, b in y.tiles():
            products = _products(a, b, room)
            for tally in tallies:
                tally.add(products, i, j)
    return [Sums(tally.rows, tally.columns, tally.squares) for tally in tallies]


def _products(a: Real, b: Real, room: Room) -> Real:
    products: Real = np.matmul(a, b.T, out=room.of((len(a), len(b)), np.float64))
    return products


def _size_of(sums: Sums) -> float:
    """The root of the kernel's mean square over pairs of rows."""
    return float(np.sqrt(sums.squares / (len(sums.rows) * len(sums.columns))))


def _mean_within(sums: Sums, *, unbiased: bool) -> float:
    n, total = len(sums.rows), float(sums.rows.sum())
    return total / (n * (n - 1)) if unbiased else (total + sums.diagonal) / (n * n)
