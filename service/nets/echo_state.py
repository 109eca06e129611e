"""Echo State Network: Jaeger, The "echo state" approach to analysing and training RNNs, GMD Report 148, 2001."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from service.nets.pauses import PAUSE_STEPS, pause
from service.nets.reservoir import Reservoir
from service.nets.ridge import RidgeSums

PENALTIES = (1e-13, 1e-10, 1e-7, 1e-5, 1e-3, 1e-1)
"""β for each point of a history, from noiseless to noisy ones."""
JUDGING_STARTS, JUDGING_STEPS = 8, 200
"""Free runs by which one of these is chosen."""
REFITS = 10
"""Readouts of ever more of a history, so that each point that was held out has one fitted nearly up to it."""


class EchoState(nn.Module):
    """A reservoir and a linear readout, W_out·[1, v, x]: what comes next in a series of one or many channels.

    v(t) is what the series was a step before (`feedback`) beside known `inputs` of the same step. Takes and gives
    the units of the data; inside, everything has the mean 0 and the deviation 1 of what the readout was fitted to.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        inputs: int = 0,
        feedback: bool = True,
        units: int = 400,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 0.2,
        connections: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels, self.inputs, self.feedback = channels, inputs, feedback
        self._drawn: dict[str, Any] = {
            "units": units,
            "spectral_radius": spectral_radius,
            "leak": leak,
            "input_scaling": input_scaling,
            "bias_scaling": bias_scaling,
            "connections": connections,
            "seed": seed,
        }
        self.reservoir = Reservoir(inputs=channels * feedback + inputs, **self._drawn)
        self.readout = nn.Linear(self.reservoir.size, channels, bias=False, dtype=torch.float64)
        nn.init.zeros_(self.readout.weight)
        self.register_buffer("mean", torch.zeros(channels + inputs, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(channels + inputs, dtype=torch.float64))

    mean: Tensor
    deviation: Tensor

    def features(self, series: Tensor) -> Tensor:
        """A series (n, T, channels + inputs) to z(t) = [1, v(t), x(t)], (n, T, F)."""
        return self.reservoir(self._met(self._normalised(series)))  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """What the readout expects at each step, (n, T, channels)."""
        y = self.readout(features)
        return y * self.deviation[: self.channels] + self.mean[: self.channels]  # type: ignore[no-any-return]

    def forward(self, series: Tensor) -> Tensor:
        """A series (n, T, channels + inputs) to what each step was expected to be, (n, T, channels)."""
        return self.head(self.features(series))

    @torch.no_grad()
    def follow(self, values: Tensor, inputs: Tensor, steps: Sequence[int]) -> Tensor:
        """Hear a series (n, T, channels) and its inputs (n, T, inputs); what is remembered after each of these steps.

        A memory is [x, y], (n, len(steps), N + channels). Steps count from 1 to T.
        """
        return self.memories(self.features(torch.cat([values, inputs], dim=2)), values, steps)

    def memories(self, features: Tensor, values: Tensor, steps: Sequence[int]) -> Tensor:
        """What is remembered after each of these steps of a series whose features are known."""
        at = torch.as_tensor(steps, device=values.device) - 1
        y = (values[:, at] - self.mean[: self.channels]) / self.deviation[: self.channels]
        return torch.cat([features[:, at, -self.reservoir.units :], y], dim=2)

    @torch.no_grad()
    def run(self, memory: Tensor, inputs: Tensor, readouts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run freely: from memories (n, N + channels), with known inputs (n, H, inputs), to values (n, H, channels).

        Answers also what is remembered at the end. `readouts` (n or 1, channels, F) take the place of its own.
        """
        net, rows, steps = self.reservoir, len(memory), inputs.shape[1]
        own = self.readout.weight
        fed = self.channels * self.feedback
        u = (inputs - self.mean[self.channels :]) / self.deviation[self.channels :]
        tape = memory.new_zeros(2 * net.units + 1 + net.inputs, rows)
        old, new = tape[: net.units], tape[-net.units :]
        met, z = tape[: net.size], tape[-net.size :]
        old.copy_(memory[:, : net.units].T)
        tape[net.units] = 1
        v = tape[net.units + 1 : net.size]
        y = memory[:, net.units :].T
        a, move = net.activation(rows)
        heard = memory.new_empty(steps, self.channels, rows)
        for t in range(steps):
            if t % PAUSE_STEPS == 0:
                pause()
            v[:fed] = y[:fed]
            v[fed:] = u[:, t].T
            torch.mm(net.weights, met, out=a)
            move(old, new)
            y = heard[t]
            if readouts is None:
                torch.mm(own, z, out=y)
            else:
                y.copy_((readouts @ z.T.unsqueeze(2)).squeeze(2).T)
            old.copy_(new)
        values = heard.permute(2, 0, 1) * self.deviation[: self.channels] + self.mean[: self.channels]
        return values, torch.cat([old, y]).T

    def rest(self, rows: int) -> Tensor:
        """The memory of a net that has heard nothing."""
        return self.mean.new_zeros(rows, self.reservoir.units + self.channels)

    @torch.no_grad()
    def normalise_by(self, series: Tensor) -> Self:
        """Take mean and deviation of each channel and input from a series (T, channels + inputs)."""
        self.mean.copy_(series.mean(dim=0))
        deviation = series.std(dim=0, correction=0)
        self.deviation.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)))
        return self

    def sums(self, features: Tensor, values: Tensor) -> RidgeSums:
        """What a readout is solved from: features (T, F) and the values (T, channels) that belong to them."""
        y = (values - self.mean[: self.channels]) / self.deviation[: self.channels]
        return RidgeSums(self.reservoir.size, self.channels, device=values.device).update(features, y)

    @torch.no_grad()
    def settle(self, readout: Tensor) -> Self:
        """Take a readout (channels, F)."""
        self.readout.weight.copy_(readout)
        return self

    @torch.no_grad()
    def fit(self, values: Tensor, inputs: Tensor, *, washout: int, held_out: int) -> "Fitted":
        """This reservoir's readout for values (1, T, channels) and inputs (1, T, inputs), the last points held out.

        Sums of the first part choose the penalty by free runs through the second, which is then merged with them piece
        by piece, until they make the readout that goes on. Mean and deviation are the first part's.
        """
        length = values.shape[1]
        border = length - held_out
        net = self._for_series(values.shape[2], inputs.shape[2])
        series = torch.cat([values, inputs], dim=2)
        features = net.normalise_by(series[0, :border]).features(series)
        sums = net.sums(features[0, washout:border], values[0, washout:border])
        readouts = torch.stack([sums.solve(penalty * sums.count) for penalty in PENALTIES])
        best = int(net.misses(readouts, features, series, border).argmin())
        borders = [border + held_out * piece // REFITS for piece in range(REFITS + 1)]
        judged = [readouts[best]]
        for begin, end in pairwise(borders):
            sums.merge(net.sums(features[0, begin:end], values[0, begin:end]))
            judged.append(sums.solve(PENALTIES[best] * sums.count))
        return Fitted(net.settle(judged.pop()), torch.stack(judged), tuple(borders[:-1]), features)

    def misses(self, readouts: Tensor, features: Tensor, series: Tensor, border: int) -> Tensor:
        """How far free runs of each readout go astray after the border: the mean of their logarithms, (readouts,)."""
        steps = max(1, min(JUDGING_STEPS, (series.shape[1] - border) // 2))
        room = series.shape[1] - steps - border
        starts = sorted({border + room * place // (JUDGING_STARTS - 1) for place in range(JUDGING_STARTS)})
        values = series[..., : self.channels]
        memories = self.memories(features, values, starts)[0].repeat(len(readouts), 1)  # (readouts·starts, S)
        truth = torch.stack([series[0, start : start + steps] for start in starts]).repeat(len(readouts), 1, 1)
        found, _ = self.run(memories, truth[..., self.channels :], readouts.repeat_interleave(len(starts), dim=0))
        error = ((found - truth[..., : self.channels]) / self.deviation[: self.channels]).square().mean(dim=(1, 2))
        return error.nan_to_num(torch.inf).log().view(len(readouts), -1).mean(dim=1)

    def fitted(self) -> Tensor:
        """Everything that `fit` found, in one row (1, numbers)."""
        return torch.cat([self.mean, self.deviation, self.readout.weight.flatten()])[None]

    def wearing(self, fitted: Tensor, memory: Tensor, inputs: Tensor) -> "EchoState":
        """This reservoir with what was `fitted` to a series of as many channels as its memory and inputs have."""
        net = self._for_series(memory.shape[1] - self.reservoir.units, inputs.shape[2])
        wide = len(net.mean)
        net.mean.copy_(fitted[0, :wide])
        net.deviation.copy_(fitted[0, wide : 2 * wide])
        return net.settle(fitted[0, 2 * wide :].view_as(net.readout.weight))

    def _for_series(self, channels: int, inputs: int) -> "EchoState":
        """The same reservoir for other series, its readout still to be fitted."""
        net = EchoState(channels=channels, inputs=inputs, feedback=self.feedback, **self._drawn)
        return net.requires_grad_(requires_grad=False).to(self.mean.device)

    def _normalised(self, series: Tensor) -> Tensor:
        return (series.double() - self.mean) / self.deviation

    def _met(self, series: Tensor) -> Tensor:
        """v: the values a step before, beside the inputs of the step itself."""
        fed = series[..., : self.channels * self.feedback]
        before = torch.cat([torch.zeros_like(fed[:, :1]), fed[:, :-1]], dim=1)
        return torch.cat([before, series[..., self.channels :]], dim=2)


class Fitted(NamedTuple):
    """What came of a history."""

    net: EchoState
    """Its readout solved from all of the history."""
    judged: Tensor
    """Readouts of the steps up to each border, which can be judged by what came later, (REFITS, channels, F)."""
    borders: tuple[int, ...]
    features: Tensor
    """z(t) of the whole history, (1, T, F)."""

    def readouts_before(self, starts: Sequence[int]) -> Tensor:
        """For each start the latest readout that knows nothing of what comes after it, (starts, channels, F)."""
        return self.judged[[bisect_right(self.borders, start) - 1 for start in starts]]
