"""One net trained once: what is trained on what, and what came out of it."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from torch import nn

from service.datasets.registry import find_dataset
from service.datasets.split import Split
from service.nets.layers import count_macs, count_parameters
from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.store import ImageInput, Manifest, Model
from service.training.checkpoints import Checkpoints, Stateful
from service.training.classifier import ClassifierRecipe, measure_accuracy, train_classifier
from service.training.progress import Progress
from service.training.run import Run
from service.training.train import example_of

COLOURS: dict[str, dict[str, Any]] = {
    "cifar-10": {"channels": 3, "mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)},
    "mnist": {"channels": 1, "mean": (0.0784313725490196,), "std": (0.7843137254901961,)},
}
WATCHED = 2000
"""So many training images, the first, on which the training error is measured."""
GOAL = 0.25
"""The training error that AlexNet's figure 1 asks for."""
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Data:
    """The first `images` of a training set and the whole test set, at this side, framed by `pad` black pixels."""

    name: str = "cifar-10"
    images: int = 10_000
    side: int = 32
    pad: int = 0

    @property
    def spec(self) -> ImageInput:
        """How its pixels are normalised."""
        return ImageInput(size=(self.side, self.side), pad=self.pad, **COLOURS[self.name])


@dataclass(frozen=True, slots=True)
class Raw(Data):
    """The same as AlexNet saw its images: pixels of 0 to 255 less their mean."""

    std: float = 1 / 255

    @property
    def spec(self) -> ImageInput:
        """How its pixels are centred."""
        colours = {**COLOURS[self.name], "std": (self.std,) * COLOURS[self.name]["channels"]}
        return ImageInput(size=(self.side, self.side), pad=self.pad, **colours)


class Sets(NamedTuple):
    """What is trained on and what is measured on."""

    training: Split
    test: Split


@dataclass(frozen=True)
class Trial:
    """A net, a recipe and data; it may begin with some `layers` of what another trial trained."""

    net: str
    options: Mapping[str, Any]
    recipe: Mapping[str, Any]
    data: Data = field(default_factory=Data)
    after: "Trial | None" = None
    layers: tuple[str, ...] = ()
    curve: bool = False
    """Whether the training error is watched, and the training over once that has reached the goal."""

    @property
    def key(self) -> str:
        """What its measurements are filed under: anything that is changed makes another."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def manifest(self) -> Manifest:
        """The net as the training loop wants it described."""
        return Manifest(
            net=self.net,
            task="classify",
            chapter=4,
            paper="",
            summary="",
            dataset=self.data.name,
            options=dict(self.options),
            labels=tuple("0123456789"),
            input=self.data.spec,
        )

    def size(self) -> tuple[int, int]:
        """Parameters, and multiply-accumulates of one image."""
        with torch.device("meta"):
            net = build_net(self.net, self.options)
            return count_parameters(net), count_macs(net, example_of(self.manifest).to("meta"))


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one seed of a trial came to: errors are shares of images that were named wrongly."""

    trial: str
    seed: int
    test_error: float
    training_error: float
    seconds: float
    curve: tuple[float, ...] = ()
    """The training error after each epoch, where it was watched."""


class Reached(Exception):
    """A training error has reached the goal."""


class Watching(Checkpoints):
    """Keeps nothing on disk: measures the training error where the loop would write.

    Raises Reached once that is no more than the goal.
    """

    def __init__(self, folder: Path, measure: Any) -> None:
        super().__init__(folder, {})
        self._measure = measure
        self.curve: list[float] = []

    def restore(self, **parts: Stateful) -> int:
        """Begin afresh, always."""
        self._parts = parts
        return 0

    def keep(self, step: int, *, last: bool = False) -> None:  # noqa: ARG002 - as the loop calls it
        """Measure."""
        if self._measure is not None:
            self.curve.append(self._measure(self._parts["net"]))
            if self.curve[-1] <= GOAL:
                raise Reached

    @property
    def net(self) -> nn.Module:
        """What is trained, ready to be measured."""
        net = self._parts["net"]
        assert isinstance(net, nn.Module)
        return net.eval()


@lru_cache(maxsize=4)
def load_sets(data: Data, folder: Path) -> Sets:
    """The images of a trial, scaled down to its side by the mean of squares."""
    dataset = find_dataset(data.name)
    training = dataset.load(folder, "train").first(data.images)
    return Sets(_shrunk(training, data.side), _shrunk(dataset.load(folder, "test"), data.side))


def _shrunk(split: Split, side: int) -> Split:
    n, height, width, channels = split.images.shape
    if height == side:
        return split
    squares = split.images.reshape(n, side, height // side, side, width // side, channels)
    return Split(np.rint(squares.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8), split.labels)


def measure(trial: Trial, seed: int, sets: Sets, scratch: Path) -> Measurement:
    """Train and measure; of a trial with which others begin the weights stay in `scratch`."""
    begun = time.process_time()
    net, curve = _train(trial, seed, sets, scratch)
    spec = trial.data.spec

    def error(split: Split) -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=trial.recipe.get("precision") == "bfloat16"):
            return round(1 - measure_accuracy(net, split, spec, CPU), 6)

    return Measurement(
        trial=trial.key,
        seed=seed,
        test_error=error(sets.test),
        training_error=error(sets.training.first(WATCHED)),
        seconds=round(time.process_time() - begun, 1),
        curve=tuple(curve),
    )


def _train(trial: Trial, seed: int, sets: Sets, scratch: Path) -> tuple[nn.Module, list[float]]:
    """The net trained by the project's own loop, and its training error after each epoch where that is watched."""
    first = trial.after
    if first is not None and not (_home(first, seed, scratch) / "weights.safetensors").is_file():
        _train(first, seed, sets, scratch)
    recipe = dict(trial.recipe)
    if first is not None:
        recipe["initial"] = {"model": first.key, "layers": trial.layers}
    watched = sets.training.first(WATCHED)

    def measure_training(net: nn.Module) -> float:
        return round(1 - measure_accuracy(net, watched, trial.data.spec, CPU), 6)

    home = _home(trial, seed, scratch)
    watching = Watching(home, measure_training if trial.curve else None)
    with torch.random.fork_rng(devices=[]), Progress(trial.key, console=Console(quiet=True)) as progress:
        torch.manual_seed(seed)
        find = _Finder(first, seed, scratch)
        run = Run(trial.manifest, sets.training, CPU, watching, progress, find=find)
        try:
            net = train_classifier(ClassifierRecipe(loop="classifier", seed=seed, **recipe), run)
        except Reached:
            net = watching.net
    save_weights(net, home / "weights.safetensors")
    return net.to(memory_format=torch.channels_last), watching.curve  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class _Finder:
    """The store, as far as a trial looks into it: the one trial with which it begins."""

    trial: Trial | None
    seed: int
    scratch: Path

    def __call__(self, model_id: str) -> Model:
        assert self.trial is not None
        assert self.trial.key == model_id
        return Model(_home(self.trial, self.seed, self.scratch))


def _home(trial: Trial, seed: int, scratch: Path) -> Path:
    return scratch / f"{trial.key}-{seed}"
