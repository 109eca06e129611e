"""Ridge regression from sums that can be collected in parts: Hoerl & Kennard, Technometrics 12(1), 1970."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from service.nets.pauses import pause

PAUSE_PRODUCTS = 1 << 27
"""Products of features between two pauses."""


class RidgeSums:
    """X Xᵀ and Y Xᵀ of everything seen so far, in float64. Sums of parts, merged, are those of the whole."""

    def __init__(self, features: int, outputs: int, *, device: torch.device | None = None) -> None:
        self.gram = torch.zeros(features, features, dtype=torch.float64, device=device)
        self.cross = torch.zeros(outputs, features, dtype=torch.float64, device=device)
        self.count = 0

    def update(self, x: Tensor, y: Tensor) -> Self:
        """Add rows of features (n, F) and of what they should become (n, outputs), some at a time."""
        some = max(1, PAUSE_PRODUCTS // x.shape[1] ** 2)
        for part, become in zip(torch.split(x, some), torch.split(y, some), strict=True):
            pause()
            wide = part.double()
            self.gram += _gram(wide)
            self.cross += become.double().T @ wide
        self.count += len(x)
        return self

    def merge(self, other: "RidgeSums") -> Self:
        """Add what another has seen."""
        self.gram += other.gram
        self.cross += other.cross
        self.count += other.count
        return self

    def solve(self, ridge: float) -> Tensor:
        """W_out = Y Xᵀ (X Xᵀ + βI)⁻¹, (outputs, F): solved, never inverted."""
        pause()
        penalty = torch.eye(len(self.gram), dtype=torch.float64, device=self.gram.device) * ridge
        readout: Tensor = torch.linalg.solve(self.gram + penalty, self.cross.T)
        return readout.T.contiguous()


def _gram(x: Tensor) -> Tensor:
    """The products of all pairs of columns; numpy knows that they are symmetric, and computes half of them."""
    if x.device.type != "cpu":
        return x.T @ x
    array = x.numpy()
    return torch.from_numpy(array.T @ array)


class RidgeRows:
    """Readouts of ever more rows of features x (T, F) and of what they should become, y (T, outputs).

    Solved in as many unknowns as there are features or, if those are fewer, rows: W_out = Y (XᵀX + βI)⁻¹ Xᵀ.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x, y
        self._products = _gram(x.T) if len(x) < x.shape[1] else None
        self._sums = self._no_sums()

    def solve(self, count: int, ridges: Sequence[float]) -> Tensor:
        """W_out (ridges, outputs, F) of the first rows, best no fewer than before; each ridge is that of one row."""
        if self._products is None:
            if count < self._sums.count:
                self._sums = self._no_sums()
            new = slice(self._sums.count, count)
            self._sums.update(self._x[new], self._y[new])
            return torch.stack([_solve(self._sums.gram, self._sums.cross.T, ridge * count).T for ridge in ridges])
        products, y, x = self._products[:count, :count], self._y[:count], self._x[:count]
        return torch.stack([_solve(products, y, ridge * count).T @ x for ridge in ridges])

    def _no_sums(self) -> RidgeSums:
        return RidgeSums(self._x.shape[1], self._y.shape[1], device=self._x.device)


def _solve(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    """(A + βI)⁻¹ B of a symmetric A, in half the time that `solve` takes where A is not all but singular."""
    pause()
    regular = gram.clone()
    regular.diagonal().add_(ridge)
    factor, failed = torch.linalg.cholesky_ex(regular)
    solution: Tensor = torch.linalg.solve(regular, right) if failed else torch.cholesky_solve(right, factor)
    return solution
