"""Ridge regression from sums that can be collected in parts: Hoerl & Kennard, Technometrics 12(1), 1970."""

from typing import Self

import torch
from torch import Tensor

from service.nets.pauses import pause


class RidgeSums:
    """X Xᵀ and Y Xᵀ of everything seen so far, in float64. Sums of parts, merged, are those of the whole."""

    def __init__(self, features: int, outputs: int, *, device: torch.device | None = None) -> None:
        self.gram = torch.zeros(features, features, dtype=torch.float64, device=device)
        self.cross = torch.zeros(outputs, features, dtype=torch.float64, device=device)
        self.count = 0

    def update(self, x: Tensor, y: Tensor) -> Self:
        """Add rows of features (n, F) and of what they should become (n, outputs)."""
        pause()
        wide = x.double()
        self.gram += _gram(wide)
        self.cross += y.double().T @ wide
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
