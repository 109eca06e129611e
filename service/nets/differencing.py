"""What is taken from a series before a net hears it, and given back to what the net says: Box & Jenkins, 1970."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Differencing(NamedTuple):
    """w(t) = y(t) − y(t−lag), y the values or their logarithms; without a lag w(t) = y(t)."""

    lag: int = 0
    """0 for nothing, 1 for the step before, more for the season before."""
    logarithm: bool = False

    def scaled(self, values: Tensor) -> Tensor:
        """The y of these values."""
        return values.log() if self.logarithm else values

    def apply(self, values: Tensor) -> Tensor:
        """Values (n, T, channels) to w, as long as they, that begins with zeros where nothing lies `lag` before."""
        y = self.scaled(values)
        return (
            torch.cat([torch.zeros_like(y[:, : self.lag]), y[:, self.lag :] - y[:, : -self.lag]], 1) if self.lag else y
        )

    def last(self, values: Tensor, steps: Tensor) -> Tensor:
        """The last y at each of these steps, counted from 1, of values (1, T, channels): (1, steps, lag·channels)."""
        before = steps[:, None] - torch.arange(self.lag, 0, -1, device=steps.device)
        return self.scaled(values)[:, before.clamp(min=0)].flatten(2)

    def undo(self, w: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """The values of w (n, H, channels) after the y that are its last (n, lag·channels); and the last ones then.

        What is undone in pieces is the same, bit for bit, as what is undone at once.
        """
        if not self.lag:
            return w.exp() if self.logarithm else w, last
        rows, steps, channels = w.shape
        before = last.view(rows, self.lag, channels)
        rounds = F.pad(w, (0, 0, 0, -steps % self.lag)).view(rows, -1, self.lag, channels)
        y = torch.cat([before[:, None], rounds], dim=1).cumsum(dim=1).view(rows, -1, channels)[:, : self.lag + steps]
        values = y[:, self.lag :]
        return values.exp() if self.logarithm else values, y[:, -self.lag :].flatten(1)
