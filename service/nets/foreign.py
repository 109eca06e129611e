"""Nets that are files of others: what their inputs and outputs mean, so that they answer as our own nets do."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from service.errors import InvalidManifest

Layout = Literal["NCHW", "NHWC", "flat"]
LAYOUTS = ("NCHW", "NHWC", "flat")
RANGES = {"-1..1": (1.0, 0.0), "0..1": (2.0, -1.0), "0..255": (2 / 255, -1.0)}
"""What makes [−1, 1] of a generator's pixels: times the first, plus the second."""
LEAST = 1e-12
"""Probabilities are taken for no smaller than this, so that their logarithms are numbers."""


class Port(NamedTuple):
    """An input or an output of a file: its name, what it holds and how much, None where a call decides."""

    name: str
    dtype: torch.dtype | None
    """None for what is no tensor of a kind that is given or taken here."""
    shape: tuple[int | None, ...]
    kind: str = ""
    """What it holds in the file's own words, where that is no such tensor."""

    def told(self) -> str:
        """This port for people."""
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        kind = self.kind if self.dtype is None else str(self.dtype).removeprefix("torch.")
        return f"{self.name} {kind} [{sizes}]"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Which outputs are what, by their names, and where channels and pixels stand: the options of a manifest.

    `features` are (n, d) or maps, `logits` or `probabilities` (n, classes), `samples` images or points of latents,
    `forecast` the steps (n, h, c) after a window (n, L, c). `layout` is that of images and maps, given or taken, `flat`
    being (n, H·W·C); `pixels` the range of samples that are images.
    """

    features: str = ""
    logits: str = ""
    probabilities: str = ""
    samples: str = ""
    forecast: str = ""
    layout: Layout = "NCHW"
    pixels: str = "-1..1"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InvalidManifest(f"There is no layout called {self.layout!r}; there are {', '.join(LAYOUTS)}.")
        if self.pixels not in RANGES:
            raise InvalidManifest(f"There are no pixels of {self.pixels!r}; there are {', '.join(RANGES)}.")
        if self.logits and self.probabilities:
            raise InvalidManifest("A file answers logits or probabilities; name one output of them.")

    @property
    def classes(self) -> str:
        """The output that knows the classes."""
        return self.logits or self.probabilities


class Foreign(nn.Module):
    """Images (n, C, H, W) to features and logits, latents (n, z) to samples, windows to forecasts: what a file does."""

    numbers = 0
    """How many of them were learnt, as far as the file says."""

    def __init__(self, file: Path, given: Sequence[Port], answered: Sequence[Port], options: Mapping[str, Any]) -> None:
        super().__init__()
        if len(given) != 1 or given[0].dtype is None or not given[0].shape:
            kinds = "; ".join(port.told() for port in given)
            raise InvalidManifest(f"{file} takes {kinds}; one tensor of numbers is given.")
        self.given, self.answered, self._file = given[0], tuple(answered), file
        self._rows = self.given.shape[0]
        self.understand(options)

    def understand(self, options: Mapping[str, Any]) -> None:
        """Take these options for what its outputs mean. Raises InvalidManifest where it has no such output."""
        self.meaning = meaning = Meaning(**options)
        names = [port.name for port in self.answered]
        wanted = [meaning.features, meaning.classes, meaning.samples, meaning.forecast]
        if missing := {name for name in wanted if name} - set(names):
            raise InvalidManifest(f"{self._file} has no output called {', '.join(sorted(missing))}; there are {names}.")

    @abstractmethod
    def answer(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """These outputs of an input that is as the file takes it; none computed twice."""

    def see(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d), or maps (n, K, h, w), and logits (n, classes), (n, 0) where there are none."""
        first = self.meaning.features or self.answered[0].name
        hidden, *rest = self._asked(self._images(x), [first, *([self.meaning.classes] if self.meaning.classes else [])])
        if self.meaning.layout == "NHWC" and hidden.ndim == 4:
            hidden = hidden.permute(0, 3, 1, 2)
        return hidden.float(), self._as_logits(rest[0]) if rest else x.new_zeros(len(x), 0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of images; of latents (n, z) images in [−1, 1] (n, C, H, W), or points (n, 2)."""
        if self.meaning.samples:
            return self._draw(x)
        if not self.meaning.classes:
            return x.new_zeros(len(x), 0)
        return self._as_logits(self._asked(self._images(x), [self.meaning.classes])[0])

    def rest(self, rows: int) -> Tensor:
        """The window of who has heard nothing, (rows, L·c)."""
        return torch.zeros(rows, self._window * self._channels, dtype=torch.float64)

    def follow(self, values: Tensor, inputs: Tensor, steps: Sequence[int]) -> Tensor:  # noqa: ARG002 - there are none
        """The window of values (n, T, c) after each of these steps, (n, len(steps), L·c); zeros before the first."""
        padded = pad(values, (0, 0, self._window, 0))
        return torch.stack([padded[:, step : step + self._window].flatten(1) for step in steps], dim=1)

    def run(self, memory: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The steps (n, H, c) after windows (n, L·c), the file being asked again with what it said; the window then."""
        series, steps, window = memory.view(-1, self._window, self._channels), inputs.shape[1], self._window
        while series.shape[1] < window + steps:
            [found] = self._asked(series[:, -window:], [self.meaning.forecast])
            told = found.to(series).reshape(len(series), -1, self._channels)
            if not told.shape[1]:
                raise ValueError("the file answers a window with no steps")
            series = torch.cat([series, told], dim=1)
        return series[:, window : window + steps], series[:, steps : steps + window].flatten(1)

    @property
    def _window(self) -> int:
        return int(self.given.shape[1] or 0)

    @property
    def _channels(self) -> int:
        return int(self.given.shape[2] or 0) if len(self.given.shape) == 3 else 1

    def _images(self, x: Tensor) -> Tensor:
        if self.meaning.layout == "NCHW":
            return x
        last = x.permute(0, 2, 3, 1)
        return last.flatten(1) if self.meaning.layout == "flat" else last

    def _as_logits(self, found: Tensor) -> Tensor:
        rows = found.flatten(1).float()
        return rows.clamp_min(LEAST).log() if self.meaning.probabilities else rows

    def _draw(self, x: Tensor) -> Tensor:
        [found] = self._asked(x, [self.meaning.samples])
        if found.ndim != 4:
            return found.float()
        if self.meaning.layout == "NHWC":
            found = found.permute(0, 3, 1, 2)
        factor, shift = RANGES[self.meaning.pixels]
        return found.float() * factor + shift

    def _asked(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """The wanted outputs; in parts of the size that a file was exported for, the last one padded."""
        x = self._as_taken(x)
        rows = self._rows or len(x)
        names = list(dict.fromkeys(wanted))
        parts = [self._part(x[start : start + rows], rows, names) for start in range(0, len(x), rows)]
        found = {name: torch.cat(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}
        return [found[name] for name in wanted]

    def _part(self, x: Tensor, rows: int, names: Sequence[str]) -> list[Tensor]:
        short = rows - len(x)
        padded = torch.cat([x, x.new_zeros(short, *x.shape[1:])]) if short else x
        return [output[: len(x)] for output in self.answer(padded.contiguous(), names)]

    def _as_taken(self, x: Tensor) -> Tensor:
        """As many axes as the file takes, and numbers of its kind; whole ones are rounded."""
        axes, dtype = len(self.given.shape), self.given.dtype
        assert dtype is not None
        if x.ndim < axes:
            x = x.reshape(*x.shape, *[1] * (axes - x.ndim))
        elif x.ndim > axes:  # a window of one channel
            x = x.flatten(1)
        return (x if dtype.is_floating_point else x.round()).to(dtype)
