"""Misbehaving models and engines, small enough to reason about; `python doubles.py` is an engine process of them.

Every net looks at 2×2 grey images whose first pixel names the item, and answers with a softmax over the four pixels, so
that each answer can be told from every other. Zeros are warm-up and padding: on them every net behaves.
"""

import argparse
import asyncio
import os
import signal
import threading
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import cycle, takewhile
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from waiting import PATIENCE_S

from service.calibration import Calibration
from service.datasets.mackey_glass import mackey_glass
from service.files import file_sha256
from service.nets.echo_state import EchoState
from service.nets.registry import NETS, build_net
from service.nets.weights import save_weights
from service.processes.engine import run_engine
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.settings import Settings
from service.store import Card, write_card

BAD = 255
"""The first pixel of an image on which Failing raises, Crashing kills its process and Miscounting miscounts."""


class Echo(nn.Module):
    """Answers each image with its own pixels, and remembers the first pixels of every batch."""

    forwarded: ClassVar[list[list[int]]] = []

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def features(self, x: Tensor) -> Tensor:
        """The pixels (n, 4), in [0, 1]."""
        firsts = (x[:, 0, 0, 0] * 255).round().int().tolist()
        if any(firsts):
            self.forwarded.append(firsts)
            self.meet(firsts)
        return x.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Ten times the pixels."""
        return features * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 1, 2, 2) to logits (n, 4)."""
        return self.head(self.features(x))

    def meet(self, firsts: list[int]) -> None:
        """What happens at a batch that is no warm-up."""


class Slow(Echo):
    """Works until it is let go."""

    entered: ClassVar[threading.Event] = threading.Event()
    let_go: ClassVar[threading.Event] = threading.Event()

    def meet(self, firsts: list[int]) -> None:  # noqa: ARG002 - slow on everything
        """Wait for the test."""
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S), "nobody let it go"


class Failing(Echo):
    """Raises on a bad image."""

    def meet(self, firsts: list[int]) -> None:
        """Raise."""
        if BAD in firsts:
            raise ArithmeticError("a secret of the model")


class Crashing(Echo):
    """Kills its process on a bad image."""

    def meet(self, firsts: list[int]) -> None:
        """Die as a segmentation fault would have it."""
        if BAD in firsts:
            os.kill(os.getpid(), signal.SIGKILL)


class Miscounting(Echo):
    """Answers a batch that holds a bad image with one row too many, or one too few where `fewer` is set."""

    fewer: ClassVar[bool] = False

    def head(self, features: Tensor) -> Tensor:
        """Miscount."""
        logits = super().head(features)
        if (features[:, 0] == 1).any():
            return logits[1:] if self.fewer else torch.cat([logits, logits[:1]])
        return logits


class Gossiping(Echo):
    """Lets every image's answer depend on its company, as no exact result may."""

    def features(self, x: Tensor) -> Tensor:
        """The pixels, and what the neighbours have."""
        pixels = super().features(x)
        return pixels + pixels.mean(dim=0)


class Doodle(nn.Module):
    """Draws 2×2 images from latents of four numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def features(self, z: Tensor) -> Tensor:
        """The latents themselves."""
        return z

    def head(self, features: Tensor) -> Tensor:
        """Images (n, 1, 2, 2) in [−1, 1]."""
        return (features * self.scale).tanh().view(-1, 1, 2, 2)

    def forward(self, z: Tensor) -> Tensor:
        """Latents (n, 4) to images."""
        return self.head(self.features(z))


DOUBLES: dict[str, type[nn.Module]] = {
    "crashing": Crashing,
    "doodle": Doodle,
    "echo": Echo,
    "failing": Failing,
    "gossiping": Gossiping,
    "miscounting": Miscounting,
    "slow": Slow,
}

CLASSIFIER = """
net = "{net}"
task = "classify"
chapter = 0
paper = "none"
summary = "A test double."
dataset = "none"
labels = ["a", "b", "c", "d"]
[input]
size = [2, 2]
channels = 1
mean = [0.0]
std = [1.0]
[serving]
max_batch = 8
block = 4
"""

GENERATOR = """
net = "{net}"
task = "generate"
chapter = 0
paper = "none"
summary = "A test double."
dataset = "none"
[output]
size = [2, 2]
channels = 1
latent = 4
[serving]
block = 4
"""

FORECASTER = """
net = "esn"
task = "forecast"
chapter = 0
paper = "none"
summary = "A test double."
dataset = "mackey-glass"
options = { units = 50, connections = 5, leak = 0.6, input_scaling = 0.2 }
[series]
channels = ["x"]
washout = 20
fits = true
[serving]
max_batch = 1
block = 1
[training]
loop = "reservoir"
washout = 100
ridge = 1e-6
"""


DOTS = """
net = "toy-generators"
task = "generate"
chapter = 0
paper = "none"
summary = "A test double."
dataset = "none"
options = { latent = 3, width = 8, generators = 4 }
[points]
latent = 3
modes = [[1.0, 0.0], [-1.0, 0.0]]
deviation = 0.1
[serving]
block = 8
"""

COLOURS = """
net = "dcgan32-generators"
task = "generate"
chapter = 0
paper = "none"
summary = "A test double."
dataset = "none"
options = { latent = 9, width = 4, channels = 3, generators = 3 }
[output]
size = [28, 28]
channels = 3
latent = 9
crop = 2
[serving]
block = 8
"""


def add_model(layer: Path, model_id: str, net: nn.Module, manifest: str) -> Path:
    """Write a model without a card into a layer of a store; its folder."""
    folder = layer / model_id
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(manifest, "utf-8")
    save_weights(net, folder / "weights.safetensors")
    return folder


def add_doubles(layer: Path) -> None:
    """Write a model of every double into a layer of a store, each under its net's name."""
    for name, double in DOUBLES.items():
        add_model(layer, name, double(), (GENERATOR if double is Doodle else CLASSIFIER).format(net=name))


def add_forecaster(layer: Path) -> None:
    """Write `murmur` into a layer of a store: an echo state network of 50 units that knows the Mackey–Glass series."""
    net = EchoState(units=50, connections=5, leak=0.6, input_scaling=0.2)
    series = torch.from_numpy(mackey_glass(600))
    features = net.normalise_by(series).features(series[None])[0]
    add_model(layer, "murmur", net.settle(net.sums(features[100:], series[100:]).solve(1e-6)), FORECASTER)


def add_several(layer: Path) -> None:
    """Write `dots` and `colours` into a layer of a store: four generators of points, and three of images in colour."""
    for name, manifest in (("dots", DOTS), ("colours", COLOURS)):
        written = tomllib.loads(manifest)
        add_model(layer, name, build_net(written["net"], written["options"]), manifest)


def add_card(folder: Path, *, sha256: str | None = None, calibration: Calibration | None = None) -> None:
    """Write a card for a model: with its weights' own sha256, unless another is given."""
    weights = folder / "weights.safetensors"
    card = Card(
        sha256=sha256 or file_sha256(weights),
        size_bytes=weights.stat().st_size,
        parameters=1,
        macs=4,
        layers=(),
        seed=0,
        versions={},
        hardware="none",
        seconds=0.0,
        recipe={},
        scores={},
        calibration=calibration,
    )
    write_card(card, folder / "card.json")


def images(*firsts: int) -> NDArray[np.uint8]:
    """Images (n, 2, 2, 1) that are black but for their first pixels."""
    pixels = np.zeros((len(firsts), 2, 2, 1), np.uint8)
    pixels[:, 0, 0, 0] = firsts
    return pixels


def echoed(*firsts: int) -> NDArray[np.float32]:
    """What Echo answers to `images(*firsts)`: logits (n, 4)."""
    return (images(*firsts).reshape(len(firsts), 4) / 255 * 10).astype(np.float32)


def likely(*firsts: int) -> NDArray[np.float32]:
    """The probabilities (n, 4) that this means, of a model that nobody has calibrated."""
    powers = np.exp(echoed(*firsts))
    probabilities: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def worked_on() -> list[list[int]]:
    """The first pixels of every batch so far, padding left out."""
    return [[first for first in batch if first] for batch in Echo.forwarded]


@dataclass
class FakeEngine:
    """EngineClient, EngineControl and EngineStatus that give one answer, or one error, to everything."""

    outcome: list[Array] | BaseException = field(default_factory=list)
    held: Mapping[str, LoadedModel] = field(default_factory=dict)
    calls: list[tuple[Call, Lane, float | None, str]] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    width: Callable[[], int] = lambda: 1

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],  # noqa: ARG002 - the outcome is the same for all
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """The outcome."""
        self.calls.append((call, lane, deadline, request_id))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def load(self, model_id: str) -> None:
        """Note it."""
        self.commands.append(("load", model_id))

    async def unload(self, model_id: str) -> None:
        """Note it."""
        self.commands.append(("unload", model_id))

    def models(self) -> Mapping[str, LoadedModel]:
        """What was given."""
        return self.held


class Unanswering(FakeEngine):
    """Never answers, and notes when its caller gives up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.dropped = asyncio.Event()

    async def submit(
        self,
        call: Call,  # noqa: ARG002 - never looked at
        arrays: Sequence[Array],  # noqa: ARG002
        *,
        lane: Lane = Lane.INTERACTIVE,  # noqa: ARG002
        deadline: float | None = None,  # noqa: ARG002
        request_id: str = "",  # noqa: ARG002
    ) -> list[Array]:
        """Wait for ever."""
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.dropped.set()
        return []


def split(items: Iterable[bytes], sizes: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces of these sizes, over and over."""
    whole = BytesIO(b"".join(items))
    return list(takewhile(bool, map(whole.read, cycle(sizes))))


def main() -> None:
    """One engine process over a store of doubles."""
    parser = argparse.ArgumentParser()
    for name in ("--store", "--socket"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--parent-pipe", type=int, required=True)
    options = parser.parse_args()
    NETS.update(DOUBLES)
    settings = Settings(models_dir=options.store, state_dir=options.store / "state", threads=1)
    asyncio.run(run_engine(settings, device="cpu", socket=options.socket, parent_pipe=options.parent_pipe))


if __name__ == "__main__":
    main()
