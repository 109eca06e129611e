"""Echo State Network: Jaeger, The "echo state" approach to analysing and training RNNs, GMD Report 148, 2001."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from service.nets.differencing import Differencing
from service.nets.pauses import PAUSE_STEPS, pause
from service.nets.reservoir import Reservoir
from service.nets.ridge import RidgeRows, RidgeSums

PENALTIES = (1e-13, 1e-10, 1e-7, 1e-5, 1e-3, 1e-1, 1.0, math.inf)
PENALTIES_OF_CHANGES = (1e-5, 1e-3, 1e-1, 1.0, math.inf)
"""β for each point of a history, from noiseless to noisy ones; changes are noisier than values. With the last
what is expected of each step is the mean, whatever is remembered."""
CHOOSING_STEPS, CHOOSING_SEASONS = 400, 5
"""What is forecast, values or changes, is chosen by so many steps or seasons, the last ones, if there are more."""
PAUSE_PRODUCTS = 1 << 20
"""Products between two pauses of free runs: many run side by side, each with a readout of its own."""
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
        self.differencing = Differencing()
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
    differencing: Differencing
    """What was taken from the values of a history before they came here; only `fit` takes anything."""

    def features(self, series: Tensor) -> Tensor:
        """A series (n, T, channels + inputs) to z(t) = [1, v(t), x(t)], (n, T, F)."""
        return self.reservoir(self.met(series))  # type: ignore[no-any-return]

    def head(self, features: Tensor) -> Tensor:
        """What the readout expects at each step, (n, T, channels)."""
        return self.denormalised(self.readout(features))

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
        """What is remembered after each of these steps of a series whose features are known.

        Behind x and y it has what it takes to undo the differencing.
        """
        at = torch.as_tensor(steps, device=values.device)
        y = self.targets(self.differencing.apply(values)[:, at - 1])
        last = self.differencing.last(values, at)
        return torch.cat([features[:, at - 1, -self.reservoir.units :], y, last], dim=2)

    @torch.no_grad()
    def run(self, memory: Tensor, inputs: Tensor, readouts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run freely: from memories (n, N + channels), with known inputs (n, H, inputs), to values (n, H, channels).

        Answers also what is remembered at the end. `readouts` (n or 1, channels, F) take the place of its own.
        """
        last = memory[:, self.reservoir.units + self.channels :]
        u = self.normalised_inputs(inputs)
        heard, memory = self.walk(memory, u, self.readout.weight if readouts is None else readouts)
        values, last = self.differencing.undo(self.denormalised(heard), last)
        return values, torch.cat([memory, last], dim=1)

    def walk(self, memory: Tensor, u: Tensor, readouts: Tensor) -> tuple[Tensor, Tensor]:
        """The free run itself, all of it normalised: (n, H, channels), and [x, y] at its end."""
        net, rows, steps = self.reservoir, len(memory), u.shape[1]
        fed = self.channels * self.feedback
        tape = memory.new_zeros(2 * net.units + 1 + net.inputs, rows)
        old, new = tape[: net.units], tape[-net.units :]
        met, z = tape[: net.size], tape[-net.size :]
        old.copy_(memory[:, : net.units].T)
        tape[net.units] = 1
        v = tape[net.units + 1 : net.size]
        y = memory[:, net.units : net.units + self.channels].T
        a, move = net.activation(rows)
        heard = memory.new_empty(steps, self.channels, rows)
        unbroken = min(PAUSE_STEPS, max(1, PAUSE_PRODUCTS // (rows * (self.channels * net.size + net.entries))))
        for t in range(steps):
            if t % unbroken == 0:
                pause()
            v[:fed] = y[:fed]
            v[fed:] = u[:, t].T
            torch.mm(net.weights, met, out=a)
            move(old, new)
            y = heard[t]
            if readouts.dim() == 2:
                torch.mm(readouts, z, out=y)
            else:
                y.copy_((readouts @ z.T.unsqueeze(2)).squeeze(2).T)
            old.copy_(new)
        return heard.permute(2, 0, 1), torch.cat([old, y]).T

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
        y = self.targets(values)
        return RidgeSums(self.reservoir.size, self.channels, device=values.device).update(features, y)

    @torch.no_grad()
    def settle(self, readout: Tensor) -> Self:
        """Take a readout (channels, F)."""
        self.readout.weight.copy_(readout)
        return self

    @torch.no_grad()
    def fit(
        self,
        values: Tensor,
        inputs: Tensor,
        *,
        washout: int,
        held_out: int,
        choosing: int | None = None,
        tried: Sequence[tuple[int, bool]] = (Differencing(),),
    ) -> "Fitted":
        """This reservoir's readout for values (1, T, channels) and inputs (1, T, inputs), the last points held out.

        Free runs through the last `choosing` of those, or all, choose what is forecast, of all that is `tried`, and
        the penalty. Then they are learnt piece by piece, until they make the readout that goes on. Mean and deviation
        are the first part's.
        """
        length, choosing = values.shape[1], held_out if choosing is None else choosing
        span = max(CHOOSING_STEPS, *(CHOOSING_SEASONS * lag for lag, _ in tried))
        before = length - washout - span
        if len(tried) > 1 and before > 0:
            end = values[:, before:], inputs[:, before:]
            quarter = choosing * span // length
            tried = [self._best(*end, washout, quarter, quarter, tried)[0].net.differencing]
        heard, place = self._best(values, inputs, washout, held_out, choosing, tried)
        return heard.learn(place, held_out)

    def _best(
        self,
        values: Tensor,
        inputs: Tensor,
        washout: int,
        held_out: int,
        choosing: int,
        tried: Sequence[tuple[int, bool]],
    ) -> "tuple[Heard, int]":
        """What free runs through the last points miss least by, of all that is tried and all penalties."""
        nets = [self._for_series(values.shape[2], inputs.shape[2], Differencing(*each)) for each in tried]
        series = [torch.cat([net.differencing.apply(values), inputs], dim=2) for net in nets]
        for net, one in zip(nets, series, strict=True):
            net.normalise_by(one[0, net.differencing.lag : values.shape[1] - held_out])
        features = nets[0].reservoir(torch.cat([net.met(one) for net, one in zip(nets, series, strict=True)]))
        border = values.shape[1] - choosing
        heard = [Heard(*each, border, washout) for each in zip(nets, series, features.split(1), strict=True)]
        missed = misses(heard, values, inputs)
        best = min(range(len(heard)), key=lambda place: float(missed[place].min()))
        return heard[best], int(missed[best].argmin())

    def fitted(self) -> Tensor:
        """Everything that `fit` found, in one row (1, numbers)."""
        differencing = self.mean.new_tensor(self.differencing)
        return torch.cat([differencing, self.mean, self.deviation, self.readout.weight.flatten()])[None]

    def wearing(self, fitted: Tensor, memory: Tensor, inputs: Tensor) -> "EchoState":
        """This reservoir with what was `fitted` to a series of as many channels as its memory and inputs have."""
        lag, logarithm = fitted[0, :2].tolist()
        differencing = Differencing(int(lag), bool(logarithm))
        channels = (memory.shape[1] - self.reservoir.units) // (1 + differencing.lag)
        net = self._for_series(channels, inputs.shape[2], differencing)
        mean, deviation, readout = torch.split(
            fitted[0, 2:], [len(net.mean), len(net.mean), net.readout.weight.numel()]
        )
        net.mean.copy_(mean)
        net.deviation.copy_(deviation)
        return net.settle(readout.view_as(net.readout.weight))

    def _for_series(self, channels: int, inputs: int, differencing: Differencing) -> "EchoState":
        """The same reservoir for other series, its readout still to be fitted."""
        pause()
        net = EchoState(channels=channels, inputs=inputs, feedback=self.feedback, **self._drawn)
        net.differencing = differencing
        return net.requires_grad_(requires_grad=False).to(self.mean.device)

    def met(self, series: Tensor) -> Tensor:
        """v: the values a step before, beside the inputs of the step itself."""
        pause()
        normalised = (series.double() - self.mean) / self.deviation
        fed = normalised[..., : self.channels * self.feedback]
        before = torch.cat([torch.zeros_like(fed[:, :1]), fed[:, :-1]], dim=1)
        return torch.cat([before, normalised[..., self.channels :]], dim=2)

    def normalised_inputs(self, inputs: Tensor) -> Tensor:
        """Inputs (…, inputs) as they are heard."""
        return (inputs - self.mean[self.channels :]) / self.deviation[self.channels :]

    def targets(self, values: Tensor) -> Tensor:
        """Values (…, channels) as the readout gives them."""
        return (values - self.mean[: self.channels]) / self.deviation[: self.channels]

    def denormalised(self, y: Tensor) -> Tensor:
        """What the readout gives, (…, channels), in units of the data."""
        return y * self.deviation[: self.channels] + self.mean[: self.channels]


class Fitted(NamedTuple):
    """What came of a history."""

    net: EchoState
    """Its readout solved from all of the history."""
    penalty: float
    judged: Tensor
    """Readouts of the steps up to each border, which can be judged by what came later, (REFITS, channels, F)."""
    borders: tuple[int, ...]
    features: Tensor
    """z(t) of the whole history, (1, T, F)."""

    def readouts_before(self, starts: Sequence[int]) -> Tensor:
        """For each start the latest readout that knows nothing of what comes after it, (starts, channels, F)."""
        return self.judged[[bisect_right(self.borders, start) - 1 for start in starts]]


class Heard:
    """A series that is tried: what a reservoir remembers of it, and the readouts of each penalty that come of that."""

    def __init__(self, net: EchoState, series: Tensor, features: Tensor, border: int, washout: int) -> None:
        self.net, self.features, self.border = net, features, border
        self._end = series.shape[1]
        self._first = washout + net.differencing.lag
        self._targets = net.targets(series[0, :, : net.channels])
        self._rows = RidgeRows(features[0, self._first :], self._targets[self._first :])
        self.penalties = PENALTIES_OF_CHANGES if net.differencing.lag else PENALTIES
        self.readouts = self._solve(border, self.penalties)

    def learn(self, place: int, held_out: int) -> Fitted:
        """What comes of one of the penalties when what was held out is learnt as well, piece by piece.

        Or of the next one, where the readout of it all goes astray.
        """
        penalty = self.penalties[place]
        borders = [self._end - held_out + held_out * piece // REFITS for piece in range(REFITS + 1)]
        judged = [self._solve(end, (penalty,))[0] for end in borders]
        net = self.net.settle(judged.pop())
        while penalty < math.inf and self._strays(held_out):
            place, penalty = place + 1, self.penalties[place + 1]
            net.settle(self._solve(self._end, (penalty,))[0])
        return Fitted(net, penalty, torch.stack(judged), tuple(borders[:-1]), self.features)

    def _strays(self, held_out: int) -> bool:
        """Whether a free run from the end is soon farther from all that was before than that is wide."""
        net, before = self.net, self._targets[self._first :]
        memory = torch.cat([self.features[:, -1, -net.reservoir.units :], self._targets[-1:]], dim=1)
        steps = max(1, min(JUDGING_STEPS, held_out // 2))
        walked, _ = net.walk(memory, memory.new_zeros(1, steps, net.inputs), net.readout.weight)
        low, high = before.amin(dim=0), before.amax(dim=0)
        near = (walked[0] >= 2 * low - high) & (walked[0] <= 2 * high - low)
        return not bool(near.all())

    def _solve(self, end: int, penalties: Sequence[float]) -> Tensor:
        """Readouts of the steps before `end`, (penalties, channels, F)."""
        solved = [penalty for penalty in penalties if penalty < math.inf]
        readouts = self.net.readout.weight.new_zeros(len(penalties), *self.net.readout.weight.shape)
        if solved:
            readouts[: len(solved)] = self._rows.solve(end - self._first, solved)
        readouts[len(solved) :, :, 0] = self._targets[self._first : end].mean(dim=0)
        return readouts


def misses(heard: Sequence[Heard], values: Tensor, inputs: Tensor) -> list[Tensor]:
    """How far free runs of each readout go astray after the border: the mean of their logarithms, (readouts,) each.

    All of them run at once, through as much of what was held out as most starts leave.
    """
    length, border = values.shape[1], heard[0].border
    steps = max(1, min(JUDGING_STEPS, (length - border) // 2))
    room = length - steps - border
    starts = sorted({border + room * place // (JUDGING_STARTS - 1) for place in range(JUDGING_STARTS)})
    truth, known = (torch.stack([series[0, start : start + steps] for start in starts]) for series in (values, inputs))
    deviation = values[0, :border].std(dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    memories, readouts = [], []
    for one in heard:
        memories.append(one.net.memories(one.features, values, starts)[0].repeat(len(one.readouts), 1))
        readouts.append(one.readouts.repeat_interleave(len(starts), dim=0))
    wide = heard[0].net.reservoir.units + values.shape[2]
    u = torch.cat([one.net.normalised_inputs(known).repeat(len(one.readouts), 1, 1) for one in heard])
    walked, _ = heard[0].net.walk(torch.cat([memory[:, :wide] for memory in memories]), u, torch.cat(readouts))
    missed = []
    for one, memory, w in zip(heard, memories, torch.split(walked, [len(each) for each in memories]), strict=True):
        found, _ = one.net.differencing.undo(one.net.denormalised(w), memory[:, wide:])
        error = ((found - truth.repeat(len(one.readouts), 1, 1)) / deviation).square().mean(dim=(1, 2))
        logarithms = error.nan_to_num(torch.inf).log().view(-1, len(starts))
        missed.append(logarithms.mean(dim=1).nan_to_num(torch.inf))  # one without an error does not excuse a wild one
    return missed
