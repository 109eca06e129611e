"""What recurrent nets are set: waves by heart, digits pixel by pixel, a sum of two numbers long ago, NARMA-10."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.recurrence.players import last_outputs
from service.datasets.narma10 import narma10
from service.datasets.registry import find_dataset
from service.datasets.split import Split
from service.datasets.waveforms import waveforms

Part = Literal["tuning", "test"]
BATCH = 50


class Task(Protocol):
    """Losses to descend and errors to report, of nets side by side; batches are drawn by torch's generator."""

    key: str
    title: str
    protocol: str
    error: str
    """What is measured, in words."""
    idle: float
    """The error of who has learnt nothing."""
    inputs: int
    outputs: int
    copies: int
    """Nets that belong to one seed: one a wave."""
    periods: tuple[int, ...]
    steps: int
    budget: int
    """Parameters that each net may have."""
    updates: int
    goal: float
    """A mean loss by whose first moment nets are compared."""
    limits: str
    """Why a sentence may fail here; empty where none does."""

    def losses(self, net: nn.Module) -> Tensor:
        """Each net's on the next batch, (groups,)."""
        ...

    def errors(self, net: nn.Module, part: Part) -> Tensor:
        """Each net's, (groups,)."""
        ...


@dataclass
class Waves:
    """Five waves of 320 samples, each generated from memory by a net of its own (Koutník et al., section 4.1)."""

    key: str = "waveforms"
    title: str = "Waves by heart"
    protocol: str = (
        "Five synthetic waves of 320 samples in place of the paper's music, which was not published; a net of its own"
        " for each, without any input, as in its section 4.1. There is no test: the error is that on the wave itself,"
        " its square over the wave's variance, and rates were chosen on two other draws of the weights."
    )
    error: str = "NMSE"
    idle: float = 1.0
    inputs: int = 0
    outputs: int = 1
    copies: int = 5
    periods: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    steps: int = 320
    budget: int = 1000
    updates: int = 1000
    goal: float = 0.1
    limits: str = ""

    @cached_property
    def _waves(self) -> Tensor:
        return torch.from_numpy(waveforms(self.copies)).float()  # (T, copies)

    def losses(self, net: nn.Module) -> Tensor:
        """Mean square errors over the waves' variances."""
        played = net(torch.zeros(1, self.steps, 0))[0]  # (T, groups)
        target = self._waves.repeat(1, played.shape[1] // self.copies)
        found: Tensor = (played - target).square().mean(dim=0) / target.var(dim=0, correction=0)
        return found

    @torch.no_grad()
    def errors(self, net: nn.Module, part: Part) -> Tensor:  # noqa: ARG002 - there is one wave
        """The same once more."""
        return self.losses(net)


@dataclass
class Digits:
    """Handwritten digits of 7×7, a pixel at a step (Le, Jaitly, Hinton, arXiv 1504.00941, section 4.2)."""

    data_dir: Path
    key: str = "digits"
    title: str = "Digits, pixel by pixel"
    protocol: str = (
        "MNIST scaled down to 7×7 and read from top left, 49 steps of one pixel: the first 10,000 training images, ten"
        " times each, the whole test set. Rates were chosen on training images 10,001 to 12,000."
    )
    error: str = "test error"
    idle: float = 0.9
    inputs: int = 1
    outputs: int = 10
    copies: int = 1
    periods: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    steps: int = 49
    budget: int = 5000
    updates: int = 2000
    goal: float = 1.0
    limits: str = (
        "What limits it: a digit is read in 49 steps, of which modules with the periods 8, 16 and 32, half of them, see"
        " seven pixels at most; the paper's tasks are longer, and have something slow in them. Ten passes over 10,000"
        " digits are what there was time for."
    )
    learnt: int = 10_000
    tuned_on: int = 2000

    @cached_property
    def _training(self) -> tuple[Tensor, Tensor]:
        return _as_pixels(find_dataset("mnist").load(self.data_dir, "train").first(self.learnt + self.tuned_on))

    @cached_property
    def _test(self) -> tuple[Tensor, Tensor]:
        return _as_pixels(find_dataset("mnist").load(self.data_dir, "test"))

    def losses(self, net: nn.Module) -> Tensor:
        """Cross-entropies."""
        x, labels = self._training
        rows = torch.randint(self.learnt, (BATCH,))
        logits = last_outputs(net, x[rows]).view(BATCH, -1, self.outputs)  # (n, groups, classes)
        groups = logits.shape[1]
        of_each = cross_entropy(logits.flatten(0, 1), labels[rows].repeat_interleave(groups), reduction="none")
        return of_each.view(BATCH, groups).mean(dim=0)

    @torch.no_grad()
    def errors(self, net: nn.Module, part: Part) -> Tensor:
        """Shares of images that are named wrongly."""
        x, labels = self._test if part == "test" else (values[self.learnt :] for values in self._training)
        named = [
            last_outputs(net, some).view(len(some), -1, self.outputs).argmax(dim=2) for some in torch.split(x, 500)
        ]
        return (torch.cat(named) != labels[:, None]).double().mean(dim=0)


def _as_pixels(split: Split) -> tuple[Tensor, Tensor]:
    """Sequences (n, 49, 1) about 0, and labels."""
    squares = split.images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)) / 255  # (n, 7, 7)
    x = torch.from_numpy((squares - squares.mean()) / squares.std()).float()
    return x.flatten(1)[:, :, None], torch.from_numpy(split.labels.astype(np.int64))


@dataclass
class Adding:
    """The sum of two marked numbers among fifty (Hochreiter, Schmidhuber 1997, section 5.4)."""

    key: str = "adding"
    title: str = "Two numbers long ago"
    protocol: str = (
        "The adding problem of Hochreiter and Schmidhuber (1997): fifty numbers of U[0, 1), one marked in the first"
        " half and one in the second, and the sum of the two is asked for at the end. Every batch is new; 2,000"
        " sequences to test on, 2,000 others for the rates. Who always answers 1 has an error of 0.167."
    )
    error: str = "mean square error"
    idle: float = 1 / 6
    inputs: int = 2
    outputs: int = 1
    copies: int = 1
    periods: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    steps: int = 50
    budget: int = 5000
    updates: int = 2400
    goal: float = 0.02
    limits: str = (
        "What limits it: after half of the updates, by which rates are chosen, a plain RNN has learnt nothing at any of"
        " them, and after all of them it and the Clockwork RNN have only begun, where the LSTM is done (and on one seed"
        " has not begun). Besides, nothing here is slow: a number may be marked at a step through which modules of"
        " longer periods sleep."
    )
    tested_on: int = 2000

    def losses(self, net: nn.Module) -> Tensor:
        """Mean square errors."""
        return self._error(net, *self._draw(BATCH))

    @torch.no_grad()
    def errors(self, net: nn.Module, part: Part) -> Tensor:
        """The same on sequences that are always the same."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(("tuning", "test").index(part))
            return self._error(net, *self._draw(self.tested_on))

    def _draw(self, rows: int) -> tuple[Tensor, Tensor]:
        half = self.steps // 2
        values, marks = torch.rand(rows, self.steps), torch.zeros(rows, self.steps)
        for start in (0, half):
            marks.scatter_(1, start + torch.randint(half, (rows, 1)), 1.0)
        return torch.stack([values, marks], dim=2), (values * marks).sum(dim=1)

    def _error(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return (last_outputs(net, x) - y[:, None]).square().mean(dim=0)


@dataclass
class Narma:
    """NARMA-10 from its input (Atiya, Parlos 2000), on which echo state networks are compared."""

    key: str = "narma-10"
    title: str = "NARMA-10, echo states beside gradients"
    protocol: str = (
        "A system of tenth order, whose next value is asked for at every step from its random input alone. The echo"
        " state networks hear the 2,200 steps of the training series once, and one linear system is solved; the others"
        " descend the error on windows of 200 steps, ten in a batch, the first 50 of each washed out. Tested on 2,000"
        " steps of another series, the square of the error over the variance; rates chosen on a third series."
    )
    error: str = "NMSE"
    idle: float = 1.0
    inputs: int = 1
    outputs: int = 1
    copies: int = 1
    periods: tuple[int, ...] = (1, 2, 4, 8, 16)
    steps: int = 200
    budget: int = 1000
    updates: int = 1000
    goal: float = 0.2
    limits: str = (
        "What limits it: a value is asked for at every step and depends on the step before, which only the fastest"
        " module, a fifth of the Clockwork RNN's units, can follow; nothing in it is slower than ten steps."
    )
    washout: int = 50
    batch: int = 10
    length: int = 2200
    seeds: dict[str, int] = field(default_factory=lambda: {"training": 1000, "test": 2000, "tuning": 3000})

    def series(self, part: str) -> tuple[Tensor, Tensor]:
        """The input and what the system makes of it, both about (T, 1)."""
        y, u = narma10(self.length, seed=self.seeds[part])
        return torch.from_numpy(u), torch.from_numpy(y)

    @cached_property
    def _scaled(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Series by part, to the mean and deviation of the training series' values."""
        known = {part: self.series(part) for part in self.seeds}
        scales = [(values.mean(), values.std()) for values in known["training"]]
        return {
            part: tuple(((values - mean) / std).float() for values, (mean, std) in zip(pair, scales, strict=True))  # type: ignore[misc]
            for part, pair in known.items()
        }

    def losses(self, net: nn.Module) -> Tensor:
        """Mean square errors of windows."""
        u, y = self._scaled["training"]
        rows = torch.randint(self.length - self.steps, (self.batch, 1)) + torch.arange(self.steps)
        found = net(u[rows])[:, self.washout :]  # (n, T, groups)
        errors: Tensor = (found - y[rows][:, self.washout :]).square().mean(dim=(0, 1))
        return errors

    @torch.no_grad()
    def errors(self, net: nn.Module, part: Part) -> Tensor:
        """NMSE over a whole series but its first 200 steps."""
        u, y = self._scaled[part]
        found, truth = net(u[None])[0, 200:], y[200:]
        errors: Tensor = (found - truth).square().mean(dim=0) / truth.var(correction=0)
        return errors
