"""The recurrent nets of chapter 6, each as large as a number of parameters allows, several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import torch
from torch import Tensor, nn

from service.nets.clockwork import ClockworkRNN
from service.nets.layers import count_parameters
from service.nets.recurrent import LSTM, PlainRNN

Kind = Literal["Clockwork RNN", "plain RNN", "LSTM"]
KINDS: tuple[Kind, ...] = ("Clockwork RNN", "plain RNN", "LSTM")


@dataclass(frozen=True, slots=True)
class Player:
    """A kind of net for a task; `periods` are those of the Clockwork RNN's modules."""

    kind: Kind
    inputs: int
    outputs: int
    periods: Sequence[int]

    def build(self, units: int, groups: int = 1) -> ClockworkRNN | LSTM:
        """So many nets side by side, drawn by torch's generator; their parameters' first axis is that of the nets."""
        if self.kind == "LSTM":
            return LSTM(inputs=self.inputs, outputs=self.outputs, units=units, groups=groups)
        if self.kind == "plain RNN":
            return PlainRNN(inputs=self.inputs, outputs=self.outputs, units=units, groups=groups)
        return ClockworkRNN(inputs=self.inputs, outputs=self.outputs, units=units, periods=self.periods, groups=groups)

    def parameters(self, units: int) -> int:
        """Of one net."""
        with torch.random.fork_rng(devices=[]):
            return count_parameters(self.build(units))

    def macs(self, units: int, steps: int) -> int:
        """Multiply-accumulates of the hidden layer over one sequence."""
        with torch.random.fork_rng(devices=[]):
            return self.build(units).hidden.count_macs(torch.empty(1, steps, 0))

    def largest(self, budget: int) -> int:
        """The most units with which it has at most so many parameters."""
        fewest = len(self.periods)
        return next(units for units in count(fewest) if self.parameters(units + 1) > budget)


def last_outputs(net: nn.Module, x: Tensor) -> Tensor:
    """What nets say after the last step of sequences (n, T, inputs): (n, groups·outputs)."""
    assert isinstance(net, ClockworkRNN | LSTM)
    return net.head(net.features(x)[:, -1:])[:, 0]
