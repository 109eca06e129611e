"""Which precision a kernel's products need: single where nobody can tell, which takes half the time, else double.

The sums are those of millions of pairs, in double precision; what the rounding of single products adds to their means
falls with the root of the rows, and far below what the score scatters by. It is estimated from the sums themselves:
where it is more than SHARE of the scatter between equal distributions, all is computed again in double precision. Small
sets, which cost nothing, and bandwidths at which a distance's rounding is seen, are never computed otherwise.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np

from service.metrics.distances import centre_of, norms_of, tiles
from service.metrics.kernel_interval import orders_of
from service.metrics.kernel_sums import Discrepancy, root_mean_square, sums_over
from service.metrics.kernels import Kernel, Polynomial, Radial
from service.metrics.samples import Rows, check_pair

LARGE = 1 << 34
"""Multiplications from which on single precision is considered: half a second of one core in double."""
SHARE = 1e-3
"""Of the scatter between equal distributions, what rounding may be."""
BROAD = 1e3
"""Squared bandwidths that a squared norm may be."""
EPS = float(np.finfo(np.float32).eps)


def discrepancy(real: Rows, generated: Rows, kernel: Kernel, *, repeats: int = 1) -> Discrepancy:
    """The kernel's sums over features (n, d) and (m, d), one of so many computations. Raises InvalidSamples."""
    return discrepancies(real, generated, [kernel], repeats=repeats)[0]


def discrepancies(
    real: Rows, generated: Rows, kernels: Sequence[Kernel], *, repeats: int = 1
) -> tuple[Discrepancy, ...]:
    """The sums of each kernel, which share their products. Raises InvalidSamples.

    Those of one do not depend on which others there are.
    """
    check_pair(real, generated)
    found: dict[Kernel, Discrepancy] = {}
    if len(real) * len(generated) * real.shape[1] * repeats >= LARGE:
        norms = [_mean_and_largest(rows) for rows in (real, generated)]
        broad = [kernel for kernel in kernels if _is_broad(kernel, max(largest for _, largest in norms))]
        sums = sums_over(real, generated, broad, np.float32) if broad else []
        size = max(mean for mean, _ in norms)
        found = {
            kernel: one
            for kernel, one in zip(broad, sums, strict=True)
            if _is_negligible(kernel.scale(real.shape[1]) * size, kernel, one)
        }
    rest = [kernel for kernel in kernels if kernel not in found]
    if rest:
        found |= zip(rest, sums_over(real, generated, rest, np.float64), strict=True)
    return tuple(found[kernel] for kernel in kernels)


def _mean_and_largest(rows: Rows) -> tuple[float, float]:
    """Of the squared norms about the mean."""
    norms = np.concatenate([norms_of(tile) for _, tile in tiles(rows, centre_of(rows))])
    return float(norms.mean()), float(norms.max())


def _is_broad(kernel: Kernel, largest: float) -> bool:
    if isinstance(kernel, Polynomial):
        return True
    sigma = cast("Radial", kernel).sigma
    return largest <= BROAD * sigma * sigma


def _is_negligible(rounded: float, kernel: Kernel, sums: Discrepancy) -> bool:
    """Whether rounding of products that are typically so large is hidden in the score's scatter."""
    orders = orders_of(sums)
    fewest = min(orders.n, orders.m)
    slopes = sum(
        weight * kernel.slope(root_mean_square(part) ** 2)
        for weight, part in ((1, sums.real), (1, sums.generated), (2, sums.across))
    )
    noise = EPS * abs(rounded) * slopes / np.sqrt(fewest)
    return bool(noise <= SHARE * np.sqrt(sum(orders.null)))
