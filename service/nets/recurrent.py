"""What the Clockwork RNN was compared with: Elman's network of 1990, and the LSTM with forget gates of 2000."""

import torch
from torch import Tensor, nn

from service.nets.clockwork import SPREAD, ClockworkRNN, grouped_readout

FORGET = 5.0
"""Bias of the forget gate before training, so that the cell keeps what it has (Koutník et al., section 4.1)."""


class PlainRNN(ClockworkRNN):
    """One module that ticks at every step: y(t) = tanh(W·y(t−1) + W_I·x(t) + b), and a linear readout."""

    def __init__(self, *, inputs: int = 0, outputs: int = 1, units: int = 31, groups: int = 1) -> None:
        super().__init__(inputs=inputs, outputs=outputs, units=units, periods=(1,), groups=groups)


class LSTMLayer(nn.Module):
    """c(t) = f·c(t−1) + i·tanh(…), h(t) = o·tanh(c(t)), with gates of [h(t−1), x(t)]; `groups` nets side by side."""

    def __init__(self, *, inputs: int, units: int, groups: int = 1) -> None:
        super().__init__()
        self.units, self.groups = units, groups
        self.recurrent = nn.Parameter(SPREAD * torch.randn(groups, units, 4 * units))
        self.input = nn.Parameter(SPREAD * torch.randn(groups, 4 * units, inputs))
        self.bias = nn.Parameter(SPREAD * torch.randn(groups, 4 * units))
        with torch.no_grad():
            self.bias[:, units : 2 * units] = FORGET

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (n, T, inputs) to h, (n, T, groups·units)."""
        rows, steps, _ = x.shape
        drive = torch.einsum("nti,gui->tgnu", x, self.input) + self.bias[:, None]  # (T, groups, n, 4·units)
        h = c = x.new_zeros(self.groups, rows, self.units)
        outputs = []
        for met in drive:
            i, f, o, g = torch.baddbmm(met, h, self.recurrent).chunk(4, dim=2)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs).permute(2, 0, 1, 3).reshape(rows, steps, -1)

    def count_macs(self, output: Tensor) -> int:
        """Multiply-accumulates of one sequence."""
        return output.shape[1] * (self.recurrent.numel() + self.input.numel())


class LSTM(nn.Module):
    """Long short-term memory without peepholes, and a linear readout: inputs to outputs, step by step."""

    def __init__(self, *, inputs: int = 0, outputs: int = 1, units: int = 15, groups: int = 1) -> None:
        super().__init__()
        self.hidden = LSTMLayer(inputs=inputs, units=units, groups=groups)
        self.readout = grouped_readout(units, outputs, groups)

    def features(self, x: Tensor) -> Tensor:
        """Inputs (n, T, inputs) to h, (n, T, groups·units)."""
        return self.hidden(x)  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """The outputs (n, T, groups·outputs)."""
        return self.readout(features.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (n, T, inputs) to outputs (n, T, groups·outputs)."""
        return self.head(self.features(x))
