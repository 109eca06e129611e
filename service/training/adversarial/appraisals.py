"""How good a generator is while it is trained: the project's own metrics against images that it never saw."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from service.datasets.mixtures import Mixture
from service.datasets.registry import STACKED, find_mixture
from service.datasets.stacked import Stacked
from service.errors import InvalidManifest, ModelNotFound, UntrustedWeights
from service.imaging import Pixels
from service.metrics.fid import fid
from service.metrics.metric import Side
from service.metrics.mode_coverage import mode_coverage, reverse_kl
from service.metrics.one_nn import OneNN
from service.nets.registry import open_net
from service.store import ImageOutput, Manifest, Model, Size
from service.tasks.classify import Classify
from service.tasks.features import Features
from service.tasks.generate import latents
from service.tasks.sureness import Real, mean_probabilities
from service.training.adversarial.data import Images
from service.training.adversarial.settling import settle
from service.training.history import Row
from service.training.run import Run

POINTS = 2500
"""Of each generator of points, as in the protocol (arXiv 1712.04086, section 4.1)."""
BLOCK = 250
SETTLING_BLOCKS = 8
CONFIDENT = 0.9


class Appraised(BaseModel):
    """`[training.appraised]`: how often a generator is measured, and of images against what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(500, gt=0, description="Iterations between two measurements.")
    samples: int = Field(2000, gt=1, description="Of the generator, in each.")
    reference: int = Field(5000, gt=1, description="The last so many training images, which samples are compared with.")
    held_out: bool = Field(default=True, description="Whether the generator does not learn from these images.")
    extractor: str | None = Field(None, description="The classifier of the store whose features are compared.")
    named_by: tuple[str, ...] = Field(
        (),
        description="The classifiers of the store that name what is drawn, together, at the temperatures of their"
        " cards; the extractor unless given.",
    )

    @property
    def namers(self) -> tuple[str, ...]:
        """The classifiers that name what is drawn."""
        return self.named_by or (self.extractor or "",)

    @property
    def kept_from_training(self) -> int:
        """How many of the last training images the generator does not learn from."""
        return self.reference if self.held_out else 0


class Appraiser(Protocol):
    """Measures a generator, which stays as it is, and draws nothing from torch's generator."""

    every: int
    """Iterations between two measurements."""

    def measure(self, generator: nn.Module) -> Row:
        """What is worth a row of the history."""
        ...


class Painter:
    """A generator's images, from the same latents each time, on a copy that has settled."""

    def __init__(self, spec: ImageOutput, samples: int, seed: int, run: Run) -> None:
        self._data = Images(run.images.images, spec, run.device)
        self._device, self._latent = run.device, spec.latent
        self._seed, self._samples = seed, samples

    def paint(self, generator: nn.Module) -> Pixels:
        """Pixels uint8 (samples, H, W, C)."""
        before = SETTLING_BLOCKS * BLOCK
        settled = settle(copy.deepcopy(generator), self._latents(0, before))
        return np.concatenate([self._paint(settled, z) for z in self._latents(before, self._samples)])

    def _latents(self, start: int, count: int) -> Iterator[Tensor]:
        for place in range(start, start + count, BLOCK):
            rows = min(BLOCK, start + count - place)
            yield torch.from_numpy(latents(self._seed, place, rows, self._latent)).to(self._device)

    @torch.no_grad()
    def _paint(self, generator: nn.Module, z: Tensor) -> Pixels:
        samples: Tensor = generator(z)
        # What is not a number has no pixel; the loss tells of it in the same row.
        return self._data.pixels(samples.nan_to_num(0.0))


class ImageAppraiser:
    """Measures a generator of images from the same latents each time.

    A class counts as covered where a sample is put into it with a confidence of 0.9 or more.
    Raises InvalidManifest where the extractor cannot look at these images.
    """

    def __init__(self, appraised: Appraised, spec: ImageOutput, run: Run, *, seed: int) -> None:
        reference = run.images.images[-appraised.reference :]
        self.every = appraised.every
        self._painter = Painter(spec, appraised.samples, seed, run)
        self._look = Eye(appraised.extractor or "", spec.size, spec.channels, run)
        self._name = Namers(appraised.namers, spec.size, spec.channels, run)
        self._real = self._look(reference)
        self._deviation = _deviation(reference)

    def measure(self, generator: nn.Module) -> Row:
        """FID, 1-NN, coverage of the classes and spread of a generator, which stays as it is."""
        pixels = self._painter.paint(generator)
        features = self._look(pixels)
        count = min(len(features), len(self._real))
        nearest = OneNN().measure(Side(features=self._real[:count]), Side(features=features[:count]))
        return {
            "fid": fid(self._real, features).value,
            "one_nn_real": float(nearest.details["real"]),
            "one_nn_generated": float(nearest.details["generated"]),
            "spread": _deviation(pixels) / self._deviation,
            **_coverage(self._name(pixels)),
        }


class StackedAppraiser:
    """Classifiers name the digit of each channel; three names are a mode, covered by one sample.

    Every sample counts, as in the literature (arXiv 1712.04086, section 4.2), whatever the classifiers' confidence.
    Raises InvalidManifest where one of them cannot look at one channel.
    """

    def __init__(self, appraised: Appraised, spec: ImageOutput, stacked: Stacked, run: Run, *, seed: int) -> None:
        self.every = appraised.every
        self._modes, self._classes = stacked.modes, stacked.of.classes
        self._painter = Painter(spec, appraised.samples, seed, run)
        self._name = Namers(appraised.namers, spec.size, 1, run)

    def measure(self, generator: nn.Module) -> Row:
        """Modes covered, and the reverse KL of their shares."""
        pixels = self._painter.paint(generator)
        found = np.zeros(len(pixels), np.int64)
        for channel in range(pixels.shape[3]):
            probabilities = self._name(np.ascontiguousarray(pixels[..., channel : channel + 1]))
            found = self._classes * found + probabilities.argmax(axis=1)
        covered = float(len(np.unique(found)))
        return {"modes": covered, "all_modes": float(self._modes), "reverse_kl": reverse_kl(found, self._modes)}


class PointAppraiser:
    """Measures a stack of generators from the same latents each time, and draws nothing from torch's generator."""

    def __init__(self, mixture: Mixture, run: Run, *, every: int, seed: int, stack: int) -> None:
        self.every = every
        self._mixture, self._stack = mixture, stack
        drawn = latents(seed, 0, stack * POINTS, run.manifest.latent)
        self._z = torch.from_numpy(drawn).to(run.device)

    @torch.no_grad()
    def measure(self, generator: nn.Module) -> Row:
        """Modes covered, share of good points and reverse KL: means over the stack, deviations, and those of each."""
        # What is not a number is nowhere near a mode; the loss tells of it in the same row.
        points = generator(self._z).float().nan_to_num(1e9, 1e9, -1e9).clamp(-1e9, 1e9).cpu().numpy()
        found = np.array(
            [mode_coverage(own, self._mixture.modes, self._mixture.deviation) for own in np.split(points, self._stack)]
        )  # (stack, 3)
        row: Row = {"all_modes": float(len(self._mixture.modes))}
        for name, of_each in zip(("modes", "good", "reverse_kl"), found.T, strict=True):
            row[name] = float(of_each.mean())
            if self._stack > 1:
                row[f"{name}_deviation"] = float(of_each.std(ddof=1))
                row.update({f"{name}_of_{place}": float(value) for place, value in enumerate(of_each)})
        return row


def appraiser_of(appraised: Appraised | None, run: Run, *, seed: int, stack: int) -> Appraiser | None:
    """What measures the generator, if the recipe wants it measured. Raises InvalidManifest."""
    if appraised is None:
        return None
    manifest = run.manifest
    if manifest.output is None:
        return PointAppraiser(find_mixture(manifest.dataset), run, every=appraised.every, seed=seed, stack=stack)
    if manifest.dataset in STACKED:
        return StackedAppraiser(appraised, manifest.output, STACKED[manifest.dataset], run, seed=seed)
    return ImageAppraiser(appraised, manifest.output, run, seed=seed)


class Eye:
    """A classifier of the store: pixels uint8 (n, H, W, C) to features (n, d).

    Raises InvalidManifest where it cannot look at images of this size and colour.
    """

    def __init__(self, model_id: str, size: Size, channels: int, run: Run) -> None:
        model = _find(model_id, size, channels, run)
        self._manifest, self._device = model.manifest, run.device
        self._net = _open(model, run.device)

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        """What it sees in these pixels."""
        return _in_blocks(lambda block: Features().forward(self._net, [block], self._manifest)[0], pixels, self._device)


class Namers:
    """Classifiers of the store: pixels uint8 (n, H, W, C) to the mean of their probabilities (n, classes).

    Each is as sure as its card allows. Raises InvalidManifest where one cannot look at images of this size and colour.
    """

    def __init__(self, model_ids: Sequence[str], size: Size, channels: int, run: Run) -> None:
        self._models = [_find(model_id, size, channels, run) for model_id in model_ids]
        self._nets = [_open(model, run.device) for model in self._models]
        self._device = run.device

    def __call__(self, pixels: Pixels) -> Real:
        """The classes of these pixels."""
        return mean_probabilities(
            (self._logits(net, model.manifest, pixels), model.calibration)
            for net, model in zip(self._nets, self._models, strict=True)
        )

    def _logits(self, net: nn.Module, manifest: Manifest, pixels: Pixels) -> NDArray[np.float32]:
        return _in_blocks(lambda block: Classify().forward(net, [block], manifest)[0], pixels, self._device)


def _find(model_id: str, size: Size, channels: int, run: Run) -> Model:
    try:
        model = run.find(model_id)
    except ModelNotFound as error:
        raise _weightless(model_id) from error
    if model.input.size != size or model.input.channels != channels:
        raise InvalidManifest(f"[training] appraised: {model_id} looks at images of another size or colour.")
    return model


def _open(model: Model, device: torch.device) -> nn.Module:
    try:
        with torch.random.fork_rng(devices=[]):  # weights that are drawn and at once replaced
            return open_net(model.manifest.net, model.manifest.options, model.weights).to(device)
    except UntrustedWeights as error:
        raise _weightless(model.id) from error


def _weightless(model_id: str) -> InvalidManifest:
    return InvalidManifest(
        f"[training] appraised: the classifier {model_id!r} has no weights; `chapterhouse train` makes them."
    )


@torch.no_grad()
def _in_blocks(see: Callable[[Tensor], Tensor], pixels: Pixels, device: torch.device) -> NDArray[np.float32]:
    """What is seen of all pixels, a block at a time."""
    blocks = (torch.from_numpy(pixels[start : start + BLOCK]).to(device) for start in range(0, len(pixels), BLOCK))
    return np.concatenate([see(block).cpu().numpy() for block in blocks])


def _coverage(probabilities: Real) -> Row:
    """Of probabilities (n, classes): classes covered, shares of the rarest, the commonest, the confident."""
    classes = probabilities.shape[1]
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    shares = np.bincount(likeliest, minlength=classes) / len(likeliest)
    return {
        "modes": float(len(np.unique(likeliest[confidence >= CONFIDENT]))),
        "all_modes": float(classes),
        "rarest_class": float(shares.min()),
        "commonest_class": float(shares.max()),
        "confident": float((confidence >= CONFIDENT).mean()),
    }


def _deviation(pixels: Pixels) -> float:
    """How far images are from their mean, the root of the mean square over images and pixels."""
    return math.sqrt(float(pixels.reshape(len(pixels), -1).var(axis=0, dtype=np.float64).mean()))
