"""Which precision a kernel's products need: single where nobody can tell, which takes half the time, else double.

The sums are those of millions of pairs, in double precision; what the rounding of single products adds to their means
falls with the root of the rows, and far below what the score scatters by. It is estimated from the sums themselves:
where it is more than SHARE of the scatter between equal distributions, all is computed again in double precision. Small
sets, which cost nothing, and bandwidths at which a distance's rounding is seen, are never computed otherwise.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np

from service.metrics.centred import Centred, centred
from service.metrics.distances import FloatType, Index, centre_of, norms_about
from service.metrics.kernel_interval import orders_of
from service.metrics.kernel_sums import Discrepancy, Together, root_mean_square, sums_about, sums_over
from service.metrics.kernels import Kernel, Polynomial, Radial
from service.metrics.placement import has_card
from service.metrics.samples import Rows, check_pair

LARGE = 1 << 35
"""Multiplications from which on single precision is considered: a second of one core in double."""
SHARE = 1e-3
"""Of the scatter between equal distributions, what rounding may be."""
TOGETHER = 2048
"""Rows of both sets that are multiplied at once: their products take 34 MB in double precision."""
BROAD = 1e2
"""Squared bandwidths that a squared norm may be."""
SMALL, BIG = 1e-8, 1e8
"""Squared norms between which no product under- or overflows in single precision."""
EPS = float(np.finfo(np.float32).eps)


def discrepancy(real: Rows, generated: Rows, kernel: Kernel) -> Discrepancy:
    """The kernel's sums over features (n, d) and (m, d). Raises InvalidSamples."""
    return discrepancies(real, generated, [kernel])[0]


def discrepancies(real: Rows, generated: Rows, kernels: Sequence[Kernel]) -> tuple[Discrepancy, ...]:
    """The sums of each kernel, which share their products. Raises InvalidSamples.

    Those of one do not depend on which others there are.
    """
    check_pair(real, generated)
    found: dict[Kernel, Discrepancy] = {}
    work = len(real) * len(generated) * real.shape[1]
    if work >= LARGE and not has_card(work):
        found = _in_single(real, generated, kernels)
    rest = [kernel for kernel in kernels if kernel not in found]
    if rest:
        found |= zip(rest, sums_over(real, generated, rest, np.float64), strict=True)
    return tuple(found[kernel] for kernel in kernels)


def discrepancies_of_parts(
    real: Rows, generated: Rows, parts: Iterable[tuple[Index, Index]], kernel: Kernel, multiplications: int
) -> Iterator[Discrepancy]:
    """The kernel's sums over some rows of the two sets after the other, which take so many multiplications in all.

    Raises InvalidSamples.
    """
    check_pair(real, generated)
    shared = x, y = centred(real, generated)
    largest = max(float(rows.norms.max()) for rows in shared)
    single = multiplications >= LARGE and _is_broad(kernel, largest) and SMALL < largest < BIG
    typical = kernel.scale(real.shape[1]) * max(float(rows.norms.mean()) for rows in shared)
    in_single, in_double = (_Parts(x, y, kernel, kind) for kind in (np.float32, np.float64))
    for part in parts:
        sums = in_single.sums(*part) if single else None
        if sums is None or not _is_negligible(typical, kernel, sums):
            sums = in_double.sums(*part)
        yield sums


class _Parts:
    """Sums over parts of two sets in one precision, in memory where they are few rows, else in tiles."""

    def __init__(self, x: Centred, y: Centred, kernel: Kernel, kind: FloatType) -> None:
        self._x, self._y, self._kernel, self._kind = x, y, kernel, kind
        self._together = Together(x, y, kernel, kind)

    def sums(self, of_x: Index, of_y: Index) -> Discrepancy:
        if len(of_x) + len(of_y) <= TOGETHER and not has_card(len(of_x) * len(of_y) * len(self._x.centre)):
            return self._together.sums(of_x, of_y)
        pair = self._x[of_x], self._y[of_y]
        return sums_about(pair, pair, [self._kernel], self._kind)[0]


def _in_single(real: Rows, generated: Rows, kernels: Sequence[Kernel]) -> dict[Kernel, Discrepancy]:
    """The sums of those kernels for which single precision does."""
    centre = centre_of(real)
    norms = [norms_about(rows, centre) for rows in (real, generated)]
    largest = max(float(some.max()) for some in norms)
    broad = [kernel for kernel in kernels if _is_broad(kernel, largest)]
    if not broad or not SMALL < largest < BIG:
        return {}
    typical = float(np.concatenate(norms).mean())
    sums = zip(broad, sums_over(real, generated, broad, np.float32), strict=True)
    return {kernel: one for kernel, one in sums if _is_negligible(typical * kernel.scale(real.shape[1]), kernel, one)}


def _is_broad(kernel: Kernel, largest: float) -> bool:
    """Whether the rounding of a distance is nothing beside the bandwidth."""
    return isinstance(kernel, Polynomial) or largest <= BROAD * cast("Radial", kernel).sigma ** 2


def _is_negligible(rounded: float, kernel: Kernel, sums: Discrepancy) -> bool:
    """Whether the rounding of numbers that are typically so large is hidden in the score's scatter."""
    orders = orders_of(sums)
    fewest = min(orders.n, orders.m)
    slopes = sum(
        weight * kernel.slope(root_mean_square(part) ** 2)
        for weight, part in ((1, sums.real), (1, sums.generated), (2, sums.across))
    )
    noise = EPS * abs(rounded) * slopes / np.sqrt(fewest)
    return bool(noise <= SHARE * np.sqrt(sum(orders.null)))
