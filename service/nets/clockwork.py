"""Clockwork RNN: Koutník, Greff, Gomez, Schmidhuber, A Clockwork RNN, ICML 2014, arXiv 1402.3511."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from service.errors import InvalidManifest

PERIODS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""T_i = 2^(i−1), of the paper's sequence generation."""
SPREAD = 0.1
"""Standard deviation of every weight before training (section 4)."""


class Clockwork(nn.Module):
    """y(t) = tanh(W_H·y(t−1) + W_I·x(t) + b) in the modules whose period divides t; the others hold their output.

    A module hears itself and all slower ones: W_H is block upper-triangular, and only those weights exist. Steps count
    from 1, so that the slowest module first moves at its own period. `groups` are nets of their own, side by side on
    the same inputs.
    """

    def __init__(self, *, inputs: int, units: int, periods: Sequence[int], groups: int = 1) -> None:
        super().__init__()
        if any(slow % quick for quick, slow in pairwise(periods)) or units < len(periods):
            raise InvalidManifest(f"periods {tuple(periods)} must be multiples, each of the one before, one a unit")
        self.units, self.groups, self.periods = units, groups, tuple(periods)
        sizes = [
            len(range(module, units, len(periods))) for module in range(len(periods))
        ]  # the quickest get what is over
        self.ends = tuple(torch.tensor(sizes).cumsum(0).tolist())
        period = torch.repeat_interleave(torch.tensor(periods), torch.tensor(sizes))  # (units,)
        mask = period[None, :] >= period[:, None]  # (to, from)
        self.register_buffer("places", mask.flatten().nonzero()[:, 0], persistent=False)
        self.recurrent = nn.Parameter(SPREAD * torch.randn(groups, len(self.places)))
        self.input = nn.Parameter(SPREAD * torch.randn(groups, units, inputs))
        self.bias = nn.Parameter(SPREAD * torch.randn(groups, units))

    places: Tensor

    def matrix(self) -> Tensor:
        """W_H, (groups, units, units): row i is what unit i hears."""
        empty = self.recurrent.new_zeros(self.groups, self.units**2)
        return empty.index_copy(1, self.places, self.recurrent).view(self.groups, self.units, self.units)

    def awake(self, step: int) -> int:
        """How many units move at a step; they are the first ones, as every period is a multiple of the one before."""
        return self.ends[sum(step % period == 0 for period in self.periods) - 1] if step % self.periods[0] == 0 else 0

    def forward(self, x: Tensor, y: Tensor | None = None, clock: int = 0) -> Tensor:
        """Inputs (n, T, inputs), and the output y (n, groups·units) after `clock` steps, to y at each, (n, T, …)."""
        rows, steps, _ = x.shape
        drive = torch.einsum("nti,gui->tgnu", x, self.input) + self.bias[:, None]  # (T, groups, n, units)
        held = x.new_zeros(rows, self.groups * self.units) if y is None else y
        now = held.view(rows, self.groups, self.units).transpose(0, 1)  # (groups, n, units)
        heard = self.matrix().transpose(1, 2)  # (groups, from, to)
        awake = [self.awake(clock + step) for step in range(1, steps + 1)]
        weights = {count: heard[:, :, :count] for count in set(awake)}
        outputs = []
        for met, count in zip(drive, awake, strict=True):
            if count:
                moved = torch.baddbmm(met[:, :, :count], now, weights[count]).tanh()  # (groups, n, count)
                now = moved if count == self.units else torch.cat([moved, now[:, :, count:]], dim=2)
            outputs.append(now)
        return torch.stack(outputs).permute(2, 0, 1, 3).reshape(rows, steps, -1)

    def count_macs(self, output: Tensor) -> int:
        """Multiply-accumulates of one sequence: of the units that move, as often as they do."""
        into = [self.units * self.input.shape[2]]  # W_I is applied to all units at once
        starts = (0, *self.ends[:-1])
        steps = output.shape[1]
        for start, end, period in zip(starts, self.ends, self.periods, strict=True):
            into.append((end - start) * (self.units - start) * (steps // period))
        return self.groups * (into[0] * steps + sum(into[1:]))


class ClockworkRNN(nn.Module):
    """Modules that tick at their own periods, and a linear readout of all of them: inputs to outputs, step by step.

    Without inputs it generates: the clock alone drives it.
    """

    def __init__(
        self,
        *,
        inputs: int = 0,
        outputs: int = 1,
        units: int = 40,
        periods: Sequence[int] = PERIODS,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.hidden = Clockwork(inputs=inputs, units=units, periods=periods, groups=groups)
        self.readout = grouped_readout(units, outputs, groups)

    def features(self, x: Tensor) -> Tensor:
        """Inputs (n, T, inputs) to the outputs of all modules, (n, T, groups·units)."""
        return self.hidden(x)  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """The outputs (n, T, groups·outputs)."""
        return self.readout(features.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (n, T, inputs) to outputs (n, T, groups·outputs)."""
        return self.head(self.features(x))

    def rest(self, rows: int) -> Tensor:
        """The memory of a net that has not begun."""
        return self.hidden.bias.new_zeros(rows, self.hidden.groups * self.hidden.units + 1).double()

    @torch.no_grad()
    def follow(self, values: Tensor, inputs: Tensor, steps: Sequence[int]) -> Tensor:  # noqa: ARG002 - it hears no values
        """What is remembered after each of these steps, counted from 1: outputs and clock, (n, len(steps), S)."""
        y = self.features(inputs.float())[:, [step - 1 for step in steps]]  # (n, len(steps), groups·units)
        clock = torch.tensor(steps, device=y.device).expand(len(y), -1).unsqueeze(2)
        return torch.cat([y.double(), clock], dim=2)

    @torch.no_grad()
    def run(self, memory: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Go on from memories (n, S) with inputs (n, H, inputs): outputs (n, H, groups·outputs), and memories."""
        steps = inputs.shape[1]
        x, clocks = inputs.float(), memory[:, -1].int().tolist()
        rows = [self.hidden(x[i : i + 1], memory[i : i + 1, :-1].float(), clock) for i, clock in enumerate(clocks)]
        y = torch.cat(rows)  # (n, H, groups·units)
        after = torch.cat([y[:, -1].double(), memory[:, -1:] + steps], dim=1)
        return self.head(y).double(), after


def grouped_readout(units: int, outputs: int, groups: int) -> nn.Conv1d:
    """A linear readout of each group's units, over (n, groups·units, T)."""
    readout = nn.Conv1d(groups * units, groups * outputs, 1, groups=groups)
    for parameter in readout.parameters():
        nn.init.normal_(parameter, std=SPREAD)
    return readout
