"""From a model's manifest to its weights, and to what its card says about them."""

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from service import __version__
from service.datasets.registry import find_dataset
from service.nets.layers import count_parameters, layer_table
from service.nets.weights import save_weights
from service.store import Card, Layer, Manifest, Model, Score, file_sha256
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.registry import read_recipe
from service.training.run import Run


def train(
    model: Model,
    *,
    data_dir: Path,
    checkpoint_dir: Path,
    output_dir: Path | None = None,
    seed: int | None = None,
    resume: bool = True,
    threads: int = 1,
    device: str = "cpu",
    console: Console | None = None,
) -> Card:
    """Train a model as its manifest says; write `weights.safetensors`, return its card without scores.

    The same manifest, seed, number of threads, torch and machine give the same weights, however often the training was
    stopped and resumed. Weights go to `output_dir`, the model's own folder unless given. A checkpoint in
    `checkpoint_dir` is resumed unless `resume` is False. Raises InvalidManifest, DatasetMissing and, for the checkpoint
    of another recipe, ConfigurationError.
    """
    manifest = model.manifest
    wanted = manifest.training if seed is None else {**manifest.training, "seed": seed}
    loop, recipe = read_recipe(wanted)
    recipe_seed: int = recipe.model_dump()["seed"]
    images = find_dataset(manifest.dataset).load(data_dir, "train")
    identity = {
        "net": manifest.net,
        "options": manifest.options,
        "recipe": recipe.model_dump(),
        "torch": torch.__version__,
        "threads": threads,
    }
    checkpoints = Checkpoints(checkpoint_dir, identity)
    if not resume:
        checkpoints.forget()
    with _reproducible(recipe_seed, threads), Progress(model.id, console=console) as progress:
        net = loop.train(recipe, Run(manifest, images, torch.device(device), checkpoints, progress))
    folder = output_dir or model.folder
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / model.weights.name
    save_weights(net, weights)
    layers = layer_table(net, example_of(manifest))
    return Card(
        sha256=file_sha256(weights),
        size_bytes=weights.stat().st_size,
        parameters=count_parameters(net),
        macs=sum(row.macs for row in layers),
        layers=tuple(Layer(**asdict(row)) for row in layers),
        seed=recipe_seed,
        versions=_versions(),
        hardware=_hardware(device, threads),
        seconds=round(checkpoints.seconds, 1),
        recipe=recipe.model_dump(mode="json"),
        scores={},
    )


def with_scores(card: Card, scores: Mapping[str, Score]) -> Card:
    """The same card with what was measured on the test set."""
    return card.model_copy(update={"scores": dict(scores)})


def example_of(manifest: Manifest) -> Tensor:
    """One item as the model's net takes it, all zeros: (1, C, H, W) of a classifier, (1, latent) of a generator."""
    if manifest.input is not None:
        height, width = (side + 2 * manifest.input.pad for side in manifest.input.size)
        return torch.zeros(1, manifest.input.channels, height, width)
    assert manifest.output is not None
    return torch.zeros(1, manifest.output.latent)


@contextmanager
def _reproducible(seed: int, threads: int) -> Iterator[None]:
    """Inside, torch's generator is seeded, its threads are counted and cuDNN is exact; outside, all is as it was."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]), torch.backends.cudnn.flags(benchmark=False, deterministic=True):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads_before)


def _versions() -> dict[str, str]:
    return {
        "chapterhouse": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _hardware(device: str, threads: int) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {threads} thread{'s' if threads != 1 else ''}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
