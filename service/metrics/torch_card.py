"""A card that multiplies for the metrics: torch in double precision, with the rows of either set kept there.

Double precision, because what is compared are small differences of large sums; a card that is slow at it is still
many times as fast as a core. A set is sent once, however many metrics look at it.
"""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, cast
from weakref import ref

import numpy as np
import torch
from torch import Tensor

from service.metrics.centred import Centred
from service.metrics.distances import CLOSE, Floats
from service.metrics.kernels import Gaussian, Kernel, Polynomial, Radial, RationalQuadratic
from service.metrics.placement import WORTH, Move, Totals
from service.metrics.samples import BLOCK_ROWS, Real, Rows

TILE_ROWS = 2048
"""Rows of either set whose pairs are computed at once: 34 MB."""
PAIR_NUMBERS = 1 << 24
"""Numbers of pairs that are computed exactly at once."""


class TorchCard:
    """A device of torch's. Raises RuntimeError where it cannot be used, and whenever it fails."""

    def __init__(self, at: str, *, least: int = WORTH) -> None:
        self._at = torch.device(at)
        self.least = least
        self._kept: dict[int, tuple[ref[Rows], Tensor]] = {}
        self._sending = Lock()
        self.sent(np.zeros(1))  # it is known now whether it can be used
        name = torch.cuda.get_device_name(self._at) if self._at.type == "cuda" else f"torch on {at}"
        self.versions: Mapping[str, str] = {"torch": str(torch.__version__), "card": name}

    @torch.inference_mode()
    def moments(self, rows: Rows) -> tuple[Real, Real]:
        """The mean (d,) of rows (n, d) and their scatter (d, d), in two passes."""
        there, (n, d) = self.resident(rows), rows.shape
        blocks = [there[start : start + TILE_ROWS] for start in range(0, n, TILE_ROWS)]
        mean = self._zeros(d)
        for block in blocks:
            mean += block.double().sum(0)
        mean /= n
        scatter = self._zeros(d, d)
        for block in blocks:
            moved = block.double() - mean
            scatter.addmm_(moved.T, moved)
        return _here(mean), _here(scatter)

    @torch.inference_mode()
    def kernel_sums(
        self, x: Centred, y: Centred | None, kernels: Sequence[Kernel], sharp: Sequence[bool]
    ) -> list[Totals]:
        """Of each kernel between two sets, or within one, whose rows with themselves are left out.

        Where a kernel is sharp, small distances are computed again.
        """
        tallies = [_Tally(self, kernel, x, y, sharpens=one) for kernel, one in zip(kernels, sharp, strict=True)]
        for i, j, products in self._products(x, y):
            for tally in tallies:
                tally.add(products, i, j)
        return [tally.totals() for tally in tallies]

    @torch.inference_mode()
    def multiply(self, x: Rows, y: Rows, parts: tuple[slice, slice], move: Move, out: Floats) -> Floats:
        """The products of some rows of a set with some of another, all moved, written into `out`."""
        centre = self.sent(move.centre)
        a, b = (self.resident(rows)[part].double() - centre for rows, part in zip((x, y), parts, strict=True))
        torch.from_numpy(out).copy_((a @ b.T).mul_(move.scale**2))
        return out

    def free(self) -> None:
        """Let go of all rows, and of what torch has set aside for them: engines share the card."""
        self._kept.clear()
        if self._at.type == "cuda":
            torch.cuda.empty_cache()

    def resident(self, rows: Rows) -> Tensor:
        """The rows on the card, where they stay as long as they are of use here."""
        key = id(rows)
        with self._sending:
            kept = self._kept.get(key)
            if kept is None or kept[0]() is not rows:
                kept = ref(rows, lambda _: self._kept.pop(key, None)), self._send(rows)
                self._kept[key] = kept
            return kept[1]

    def sent(self, numbers: Real) -> Tensor:
        """A few numbers on the card."""
        return torch.from_numpy(np.array(numbers, np.float64)).to(self._at)

    def exact_squares(self, x: Rows, y: Rows, i: Tensor, j: Tensor) -> Tensor:
        """Σ (x_i − y_j)² of these pairs."""
        of_x, of_y = self.resident(x), self.resident(y)
        squares, step = self._zeros(len(i)), max(1, PAIR_NUMBERS // x.shape[1])
        for start in range(0, len(i), step):
            part = slice(start, start + step)
            squares[part] = (of_x[i[part]].double() - of_y[j[part]].double()).square_().sum(1)
        return squares

    def _products(self, x: Centred, y: Centred | None) -> Iterator[tuple[int, int, Tensor]]:
        """Of the rows of two sets, or of one, each pair of its tiles once; and where their tiles begin."""
        other, centre = x if y is None else y, self.sent(x.centre)
        of_x, of_y = self.resident(x.rows), self.resident(other.rows)
        for i in range(0, len(x), TILE_ROWS):
            a = of_x[i : i + TILE_ROWS].double() - centre
            for j in range(i if y is None else 0, len(other), TILE_ROWS):
                yield i, j, a @ (of_y[j : j + TILE_ROWS].double() - centre).T

    def _send(self, rows: Rows) -> Tensor:
        """A block at a time, since they may lie on a disk."""
        kind = np.float32 if rows.dtype == np.float32 else np.float64
        there = torch.empty(rows.shape, dtype=torch.float32 if kind is np.float32 else torch.float64, device=self._at)
        for start in range(0, len(rows), BLOCK_ROWS):
            block = np.array(rows[start : start + BLOCK_ROWS], kind)
            there[start : start + len(block)] = torch.from_numpy(block)
        return there

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self._at)


class _Tally:
    """A kernel's sums, as the products come."""

    def __init__(self, card: TorchCard, kernel: Kernel, x: Centred, y: Centred | None, *, sharpens: bool) -> None:
        self._card, self._kernel, self._x, self._y = card, kernel, x, x if y is None else y
        self._within, self._sharpens = y is None, sharpens
        self._scale = kernel.scale(len(x.centre))
        self._of_x, self._of_y = card.sent(kernel.terms(self._x)), card.sent(kernel.terms(self._y))
        self._norms = card.sent(self._x.norms), card.sent(self._y.norms)
        self._rows, self._columns = torch.zeros_like(self._of_x), torch.zeros_like(self._of_y)
        self._squares = torch.zeros_like(self._of_x[0])

    def add(self, products: Tensor, i: int, j: int) -> None:
        """Take the products of the rows from i on with the others from j on."""
        rows, columns = slice(i, i + len(products)), slice(j, j + products.shape[1])
        z = products * self._scale
        z += self._of_x[rows, None]
        z += self._of_y[columns]
        if self._sharpens:
            self._sharpen(z, rows, columns)
        k = _kernel_of(self._kernel, z)
        if own := self._within and i == j:
            k.fill_diagonal_(0.0)
        else:
            self._columns[columns] += k.sum(0)
        self._rows[rows] += k.sum(1)
        self._squares += k.square_().sum() / (2 if own else 1)  # the other tiles of a set are seen from one side only

    def totals(self) -> Totals:
        """The sums of all pairs so far."""
        rows, columns, squares = _here(self._rows), _here(self._columns), float(self._squares)
        return Totals(rows + columns, rows + columns, 2 * squares) if self._within else Totals(rows, columns, squares)

    def _sharpen(self, z: Tensor, rows: slice, columns: slice) -> None:
        """Compute the small distances again, whose digits the products have lost: those of copies are 0."""
        kernel = cast("Radial", self._kernel)
        of_x, of_y = self._norms
        i, j = torch.nonzero(_any(kernel.squares_of)(z) < CLOSE * (of_x[rows, None] + of_y[columns]), as_tuple=True)
        squares = self._card.exact_squares(self._x.rows, self._y.rows, i + rows.start, j + columns.start)
        z[i, j] = _any(kernel.z_of)(squares)


def _kernel_of(kernel: Kernel, z: Tensor) -> Tensor:
    """The kernel of these z, as it is of numpy's arrays."""
    match kernel:
        case Gaussian():
            return z.clamp_(max=0.0).exp_()
        case RationalQuadratic():
            return z.clamp_(min=1.0).reciprocal_()
        case Polynomial(degree):
            return z.pow_(degree)
    raise TypeError(f"Nobody has written {type(kernel).__name__} for a card.")


def _any(function: Any) -> Any:
    """A function of numpy's arrays, which only counts, and takes tensors as well."""
    return function


def _here(numbers: Tensor) -> Real:
    found: Real = numbers.cpu().numpy()
    return found
