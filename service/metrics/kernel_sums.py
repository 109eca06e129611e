"""A kernel's sums within and between two sets, in tiles whose products several kernels share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk

from service.errors import InvalidSamples
from service.metrics.centred import Centred, centred
from service.metrics.distances import CLOSE, Floats, FloatType, Index, Room, exact_squares
from service.metrics.kernels import Kernel, Polynomial, Radial
from service.metrics.placement import Totals, ask_card
from service.metrics.samples import Real, Rows

EPS = float(np.finfo(np.float64).eps)
NOTICED = 1e-11
"""Squared bandwidths by which the rounding of a product may move a distance before it is computed again."""
SEEN = 1e-2
"""Share of a score that rounding may be."""
NEGLIGIBLE = 1e-12
"""What rounding may be of any score: a kernel of rows that are 0 is 1."""
LEANING = 32
"""Rows of a set whose products tell to which side rounding leans."""
STRIP_ROWS = 32
"""Rows of a tile that stay in a core's own cache from their products to their sums."""
DONE = np.tri(STRIP_ROWS, dtype=np.bool_)
"""Pairs of a strip's rows that are one and the same, or were seen from the other side."""


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
        noise = EPS * (
            root_mean_square(self.real) + root_mean_square(self.generated) + 2 * root_mean_square(self.across)
        )
        if value and not noise <= max(SEEN * abs(value), NEGLIGIBLE):
            raise InvalidSamples(
                f"The kernel's means differ by {value:.2g}, which is known to ±{noise:.2g} only: the features are too"
                " large for it. Divide them by their scale first, and take off what all of them share."
            )


def sums_over(real: Rows, generated: Rows, kernels: Sequence[Kernel], kind: FloatType) -> list[Discrepancy]:
    """The sums of each kernel over features (n, d) and (m, d), from products of this precision, which all share."""
    own = centred(real)[0], centred(generated)[0]
    return sums_about(own, centred(real, generated), kernels, kind)


def sums_about(
    own: tuple[Centred, ...], shared: tuple[Centred, ...], kernels: Sequence[Kernel], kind: FloatType
) -> list[Discrepancy]:
    """The same of two sets, each about a centre of its own, or both about one that they share."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused where the score is read
        three = *(_within(rows, kernels, kind) for rows in own), _across(shared[0], shared[1], kernels, kind)
    return [Discrepancy(*sums) for sums in zip(*three, strict=True)]


class Together:
    """A kernel's sums over parts of two sets about one centre: all products of one lie in memory and come in one.

    The next one's lie where they lay.
    """

    def __init__(self, x: Centred, y: Centred, kernel: Kernel, kind: FloatType) -> None:
        self._x, self._y, self._kernel, self._kind = x, y, kernel, kind
        self._moved, self._products = Room(), Room()

    def sums(self, of_x: Index, of_y: Index) -> Discrepancy:
        """Over these rows of the two."""
        n, total = len(of_x), len(of_x) + len(of_y)
        moved = self._moved.of((total, len(self._x.centre)), self._kind)
        x, y = self._x.moved(of_x, moved[:n]), self._y.moved(of_y, moved[n:])
        scale = self._kernel.scale(moved.shape[1])
        products = self._multiply(moved, scale)
        lean = _lean(moved, products, n, scale) if self._kind is np.float32 else (None, None, None)
        across = _Tally(self._kernel, x, y, self._kind, lean[2], scaled=True)
        with np.errstate(over="ignore", invalid="ignore"):
            across.add(products[:n, n:], 0, 0)
            return Discrepancy(
                real=self._of_triangle(products[:n, :n], x, lean[0]),
                generated=self._of_triangle(products[n:, n:], y, lean[1]),
                across=across.sums_across(()),
            )

    def _multiply(self, moved: Floats, scale: float) -> Floats:
        """The products (n, n) of each row with itself and with later ones, times the kernel's scale."""
        multiply = ssyrk if self._kind is np.float32 else dsyrk
        room = self._products.of((len(moved), len(moved)), self._kind)
        products: Floats = multiply(scale, moved.T, trans=1, lower=1, c=room.T, overwrite_c=1).T
        return products

    def _of_triangle(self, products: Floats, x: Centred, lean: float | None) -> Sums:
        """Within one set, from the products of each row with later ones."""
        tally = _Tally(self._kernel, x, x, self._kind, lean, scaled=True)
        for i in range(0, len(products), STRIP_ROWS):
            tally.add_later(products[i : i + STRIP_ROWS, i:], i)
        sums = tally.own_sums(())
        return Sums(sums, sums, 2 * tally.squares, tally.diagonal())


def _lean(moved: Floats, products: Floats, n: int, scale: float) -> tuple[float, float, float]:
    """What rounding adds to a product on average, among the first n rows, the others, and between the two.

    It is seen on the pairs of a few rows, in double precision. What that misses of the mean is noise, less than that of
    the rounding itself, and no leaning.
    """
    x, y = (np.unique(np.linspace(0, end, LEANING).astype(np.intp)) for end in (n - 1, len(moved) - n - 1))
    few = np.append(x, y + n)
    exact = moved[few].astype(np.float64)
    added = np.triu(products[few][:, few]) / scale - dsyrk(1.0, exact.T, trans=1, lower=1).T  # of what lies above
    p = len(x)
    within = (part[np.triu_indices(len(part), 1)] for part in (added[:p, :p], added[p:, p:]))
    real, generated = (float(part.mean()) if len(part) else 0.0 for part in within)
    return real, generated, float(added[:p, p:].mean())


def matrix(rows: Rows, kernel: Kernel) -> Real:
    """The kernel (n, n) of one set."""
    (x,) = centred(rows)
    moved = rows - x.centre
    tally = _Tally(kernel, x, x)
    return tally.kernel_of(moved @ moved.T, slice(None), slice(None))


def _sum_of_squares(k: Real) -> float:
    return float(np.einsum("ij,ij->", k, k))


class _Tally:
    """A kernel's sums, as the products come.

    They are added up without the matrix library: a second one's threads, which wait awake for a while, would take the
    cores from those of the products.
    """

    def __init__(
        self,
        kernel: Kernel,
        x: Centred,
        y: Centred,
        kind: FloatType = np.float64,
        lean: float | None = None,
        *,
        scaled: bool = False,
    ) -> None:
        """`lean` is what rounding adds to a product on average, where that is known; products may come `scaled`."""
        self._kernel, self._x, self._y, self._lean = kernel, x, y, lean
        self._sharp = kind is np.float64 and _is_sharp(kernel, x, y)
        self._scale, self._scaled = kernel.scale(len(x.centre)), scaled
        self._of_x, self._of_y = kernel.terms(x), kernel.terms(y)
        self._room = Room()
        self._seen = kind is np.float32 and lean is None
        self._products_of_rows, self._products_of_columns = np.zeros(len(x)), np.zeros(len(y))
        self.rows, self.columns, self.squares = np.zeros(len(x)), np.zeros(len(y)), 0.0

    def kernel_of(self, products: Floats, rows: slice, columns: slice, *, own: bool = False) -> Real:
        """The kernel of these rows and columns, from their products."""
        z = self._room.of(products.shape, np.float64)
        z[...] = products
        if self._seen:
            self._products_of_rows[rows] += z.sum(axis=1)
            if not own:
                self._products_of_columns[columns] += z.sum(axis=0)
        if not self._scaled:
            z *= self._scale
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

    def add(self, products: Floats, i: int, j: int) -> None:
        """Take the products of the rows from i on and the columns from j on."""
        columns = slice(j, j + products.shape[1])
        for _, rows, k in self._strips(products, i, columns, own=False):
            self._take(k, rows, columns)

    def add_later(self, products: Floats, i: int) -> None:
        """Take the products of a few rows from i on with those that come after each, which begin above a diagonal."""
        size = len(products)
        rows, columns, done = slice(i, i + size), slice(i, i + products.shape[1]), DONE[:size, :size]
        products[:, :size][done] = 0
        k = self.kernel_of(products, rows, columns)
        k[:, :size][done] = 0
        self._take(k, rows, columns)

    def _take(self, k: Real, rows: slice, columns: slice) -> None:
        self.rows[rows] += k.sum(axis=1)
        self.columns[columns] += k.sum(axis=0)
        self.squares += _sum_of_squares(k)

    def add_own(self, products: Floats, i: int) -> float:
        """Take the products of a block of rows with themselves; what its diagonal, which is left out, adds up to."""
        diagonal = 0.0
        for start, rows, k in self._strips(products, i, slice(i, i + len(products)), own=True):
            itself = np.arange(len(k)), np.arange(start, start + len(k))
            diagonal += float(k[itself].sum())
            k[itself] = 0.0
            self.rows[rows] += k.sum(axis=1)
            self.squares += _sum_of_squares(k) / 2  # the other blocks are seen from one side only
        return diagonal

    def diagonal(self) -> float:
        """What the kernel of each row with itself adds up to."""
        return float(self._kernel(self._x.norms * self._scale + 2 * self._of_x).sum())

    def own_sums(self, exact: Sequence[Real]) -> Real:
        """The sums of the rows of one set, from both sides; `exact` is empty or their products with the set's sum."""
        sums, pairs = self.rows + self.columns, len(self._x) - 1
        if self._lean is not None:
            return self._level(sums, self._lean * pairs, pairs)
        if not exact:
            return sums
        return self._level(sums, self._products_of_rows + self._products_of_columns - exact[0], pairs)

    def sums_across(self, exact: Sequence[Real]) -> Sums:
        """The sums between two sets; `exact` is empty or the products of the rows of either with the other's sum."""
        rows, columns, of_row, of_column = self.rows, self.columns, len(self._y), len(self._x)
        if self._lean is not None:
            rows, columns = (self._level(sums, self._lean * n, n) for sums, n in ((rows, of_row), (columns, of_column)))
        elif exact:
            rows = self._level(rows, self._products_of_rows - exact[0], of_row)
            columns = self._level(columns, self._products_of_columns - exact[1], of_column)
        return Sums(rows, columns, self.squares)

    def _level(self, sums: Real, lean: Real | float, pairs: int) -> Real:
        """The sums less what rounding of products in single precision has added to them.

        A row's products with all others add up to a number that takes one product, and `lean` is what they miss it by.
        Rounding leans to one side where features repeat a number, as the zeros of a rectifier do; what it adds to the
        mean of a row's products is nearly all of what it adds to that of the kernel.
        """
        levelled: Real = sums - self._kernel.derivative(sums / pairs) * self._scale * lean
        return levelled

    def _strips(self, products: Floats, i: int, columns: slice, *, own: bool) -> Iterator[tuple[int, slice, Real]]:
        """The kernel of a few of the tile's rows at a time: where they begin in it and which rows they are."""
        for start in range(0, len(products), STRIP_ROWS):
            strip = products[start : start + STRIP_ROWS]
            rows = slice(i + start, i + start + len(strip))
            yield start, rows, self.kernel_of(strip, rows, columns, own=own)


def _is_sharp(kernel: Kernel, x: Centred, y: Centred) -> bool:
    """Whether rounding of the products would be seen at the kernel's bandwidth."""
    if isinstance(kernel, Polynomial):
        return False
    lost = EPS * (float(x.norms.max()) + float(y.norms.max()))
    sigma = cast("Radial", kernel).sigma
    return lost > NOTICED * sigma * sigma


def _within(x: Centred, kernels: Sequence[Kernel], kind: FloatType) -> list[Sums]:
    if totals := _of_card(x, None, kernels):
        own = [float(kernel(x.norms * kernel.scale(len(x.centre)) + 2 * kernel.terms(x)).sum()) for kernel in kernels]
        return [Sums(*sums, diagonal) for sums, diagonal in zip(totals, own, strict=True)]
    tallies = [_Tally(kernel, x, x, kind) for kernel in kernels]
    diagonals = [0.0 for _ in kernels]
    room = Room()
    for i, a in x.tiles(kind):
        products = _products(a, a, room)
        for place, tally in enumerate(tallies):
            diagonals[place] += tally.add_own(products, i)
        for j, b in x.tiles(kind, start=i + len(a)):
            products = _products(a, b, room)
            for tally in tallies:
                tally.add(products, i, j)
    exact = x.products_with(x.sum) if kind is np.float32 else ()
    found = []
    for tally, diagonal in zip(tallies, diagonals, strict=True):
        sums = tally.own_sums(exact)
        found.append(Sums(sums, sums, 2 * tally.squares, diagonal))
    return found


def _across(x: Centred, y: Centred, kernels: Sequence[Kernel], kind: FloatType) -> list[Sums]:
    if totals := _of_card(x, y, kernels):
        return [Sums(*sums) for sums in totals]
    tallies = [_Tally(kernel, x, y, kind) for kernel in kernels]
    room = Room()
    for i, a in x.tiles(kind):
        for j, b in y.tiles(kind):
            products = _products(a, b, room)
            for tally in tallies:
                tally.add(products, i, j)
    exact = [*x.products_with(y.sum), *y.products_with(x.sum)] if kind is np.float32 else ()
    return [tally.sums_across(exact) for tally in tallies]


def _of_card(x: Centred, y: Centred | None, kernels: Sequence[Kernel]) -> list[Totals] | None:
    """The sums between two sets, or within one, in double precision, where a card computes them."""
    other = x if y is None else y
    sharp = [_is_sharp(kernel, x, other) for kernel in kernels]
    return ask_card(len(x) * len(other) * len(x.centre), lambda card: card.kernel_sums(x, y, kernels, sharp))


def _products(a: Floats, b: Floats, room: Room) -> Floats:
    products: Floats = np.matmul(a, b.T, out=room.of((len(a), len(b)), a.dtype.type))
    return products


def root_mean_square(sums: Sums) -> float:
    """The root of the kernel's mean square over pairs of rows."""
    return float(np.sqrt(sums.squares / (len(sums.rows) * len(sums.columns))))


def _mean_within(sums: Sums, *, unbiased: bool) -> float:
    n, total = len(sums.rows), float(sums.rows.sum())
    return total / (n * (n - 1)) if unbiased else (total + sums.diagonal) / (n * n)
