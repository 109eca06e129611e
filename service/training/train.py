"""From a model's manifest to its weights, and to what its card says about them."""

import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel
from rich.console import Console
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from service import __version__
from service.datasets.mixtures import Mixture
from service.datasets.publication import Dataset
from service.datasets.registry import STACKED, find_dataset, find_mixture, find_series
from service.datasets.series import SeriesSource
from service.datasets.split import Split
from service.datasets.stacked import Stacked
from service.errors import ConfigurationError
from service.files import copy_whole, file_sha256
from service.nets.arithmetic import multiplying
from service.nets.layers import count_parameters, layer_table
from service.nets.registry import build_net
from service.nets.weights import load_weights, save_weights
from service.store import Card, Layer, Manifest, Model, ModelStore, Score
from service.training.adversarial.recording import FILE as RECORDING
from service.training.budget import Budget
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.registry import Form, Loop, read_recipe
from service.training.run import Run
from service.training.team import Team, gathered


@dataclass(frozen=True, slots=True)
class _Job:
    """One training, as each process that takes part is told of it."""

    model: Model
    training: dict[str, Any]
    form: Form
    data_dir: Path
    checkpoint_dir: Path
    threads: int
    device: str
    store: ModelStore
    withheld: int
    budget_s: float | None

    def read(self) -> tuple[Loop, BaseModel]:
        """The loop, and its recipe."""
        return read_recipe(self.training, form=self.form)

    def open_checkpoints(self) -> Checkpoints:
        """Where this training, and no other, goes on."""
        manifest = self.model.manifest
        identity = {
            "net": manifest.net,
            "options": manifest.options,
            "recipe": self.read()[1].model_dump(),
            "torch": torch.__version__,
            "threads": self.threads,
        }
        if self.withheld:
            identity["withheld"] = self.withheld
        return Checkpoints(self.checkpoint_dir, identity)


def train(
    model: Model,
    *,
    data_dir: Path,
    checkpoint_dir: Path,
    output_dir: Path | None = None,
    form: Form = "full",
    seed: int | None = None,
    resume: bool = True,
    threads: int = 1,
    device: str = "cpu",
    processes: int = 1,
    store: ModelStore | None = None,
    withheld: int = 0,
    budget_s: float | None = None,
    console: Console | None = None,
) -> Card:
    """Train a model as its manifest says; write `weights.safetensors`, return its card without scores.

    The same manifest, seed, number of threads and processes, torch and machine give the same weights, however often the
    training was stopped and resumed. Weights, and a recorded run if there is one, go to `output_dir`, the model's own
    folder unless given. A checkpoint in `checkpoint_dir` is resumed unless `resume` is False. `store` holds the models
    with which others begin; the model's own unless given. The last `withheld` training images are kept from everything
    that the training does. After `budget_s` seconds it stops where it was best, by what the recipe holds out or
    appraises, and the card says so. Raises InvalidManifest, DatasetMissing, TrainingFailed and, for the checkpoint of
    another recipe or cards that are not here, ConfigurationError.
    """
    _check_cards(device, processes)
    manifest = model.manifest
    wanted = manifest.training if seed is None else {**manifest.training, "seed": seed}
    neighbours = store or ModelStore(model.folder.parent)
    job = _Job(model, wanted, form, data_dir, checkpoint_dir, threads, device, neighbours, withheld, budget_s)
    recipe = job.read()[1].model_dump(mode="json")
    if not resume:
        job.open_checkpoints().forget()
    if processes > 1:
        net, seconds, told = _train_together(job, processes)
    else:
        net, seconds, told = _train(job, Team(), torch.device(device), console)
    folder = output_dir or model.folder
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / model.weights.name
    save_weights(net, weights, half=recipe.get("weights") == "float16")
    if (checkpoint_dir / RECORDING).is_file():
        copy_whole(checkpoint_dir / RECORDING, folder / RECORDING)
    layers = layer_table(net, example_of(manifest))
    return Card(
        sha256=file_sha256(weights),
        size_bytes=weights.stat().st_size,
        parameters=count_parameters(net),
        macs=sum(row.macs for row in layers),
        layers=tuple(Layer(**asdict(row)) for row in layers),
        seed=recipe["seed"],
        versions=versions(),
        hardware=_hardware(device, threads, processes),
        seconds=round(seconds, 1),
        recipe={"form": form, **recipe, **({"withheld": withheld} if withheld else {})},
        noticed=told.noticed,
        ending=told.ending,
        scores={},
    )


class _Told(NamedTuple):
    """What a loop has to say for the card beside the net."""

    noticed: tuple[str, ...]
    ending: dict[str, float]


def _train(job: _Job, team: Team, device: torch.device, console: Console | None) -> tuple[nn.Module, float, _Told]:
    """The trained net, how many seconds it took, earlier lives included, and what the loop says."""
    loop, recipe = job.read()
    manifest = job.model.manifest
    data = _source(manifest).load(job.data_dir, "train")
    if job.withheld:
        assert isinstance(data, Split), "images are withheld, of series and points nothing is"
        data, _ = data.divide(job.withheld)
    checkpoints = job.open_checkpoints()
    seed: int = recipe.model_dump()["seed"]
    tf32 = recipe.model_dump().get("precision") == "tf32"
    with (
        _reproducible(seed, job.threads),
        multiplying(tf32=tf32),
        Progress(job.model.id, console=console) as progress,
    ):
        budget = Budget(job.budget_s)
        run = Run(manifest, data, device, checkpoints, progress, team, job.store.get, budget=budget)
        net = loop.train(recipe, run)
    return net, checkpoints.seconds, _Told(tuple(run.noticed), run.ending)


def _source(manifest: Manifest) -> Dataset | Stacked | SeriesSource | Mixture:
    """Where a model's data come from. Raises DatasetMissing where there is nothing of that name."""
    if manifest.points is not None:
        return find_mixture(manifest.dataset)
    if manifest.series is not None:
        return find_series(manifest.dataset)
    return STACKED.get(manifest.dataset) or find_dataset(manifest.dataset)


def _check_cards(device: str, processes: int) -> None:
    """Raise ConfigurationError where a training needs cards that are not here."""
    if not device.startswith("cuda"):
        return
    there = torch.cuda.device_count()
    needed = processes if processes > 1 else int(device.partition(":")[2] or 0) + 1
    if there < needed:
        wants = f"--processes {processes}" if processes > 1 else f"--device {device}"
        cards = "1 GPU" if needed == 1 else f"{needed} GPUs"
        raise ConfigurationError(
            f"{wants} needs {cards}, and torch finds {there or 'none'} here; `--device cpu` trains on the processor."
        )


def _train_together(job: _Job, processes: int) -> tuple[nn.Module, float, _Told]:
    """The same by several processes: one a GPU, or so many on the CPU. Raises ConfigurationError."""
    loop, _ = job.read()
    if not loop.shares_batches:
        raise ConfigurationError(f"{job.model.id} is trained by a loop that one process runs alone.")
    with tempfile.TemporaryDirectory(prefix="chapterhouse-") as directory:
        place = Path(directory)
        spawn(_take_part, args=(processes, job, place), nprocs=processes)  # type: ignore[no-untyped-call]
        net = build_net(job.model.manifest.net, job.model.manifest.options)
        load_weights(net, place / "weights.safetensors")
        seconds, *noticed = (place / "told").read_text("utf-8").splitlines()
        return net.eval(), float(seconds), _Told(tuple(noticed), {})


def _take_part(rank: int, processes: int, job: _Job, place: Path) -> None:
    """One process of several; the first leaves what came out."""
    device = torch.device(f"cuda:{rank}" if job.device.startswith("cuda") else job.device)
    with gathered(rank, processes, place / "meeting", device) as team:
        net, seconds, told = _train(job, team, device, None if team.leads else Console(quiet=True))
        if team.leads:
            save_weights(net, place / "weights.safetensors")
            (place / "told").write_text("\n".join([str(seconds), *told.noticed]), "utf-8")


def with_scores(card: Card, scores: Mapping[str, Score]) -> Card:
    """The same card with what was measured on the test set."""
    return card.model_copy(update={"scores": dict(scores)})


def example_of(manifest: Manifest) -> Tensor:
    """One item as the model's net takes it, all zeros: (1, C, H, W) of a classifier, (1, latent) of a generator.

    Of a forecaster: a step, (1, 1, channels + inputs); of one that hears no values all that it knows, (1, T, inputs).
    """
    if manifest.input is not None:
        height, width = (side + 2 * manifest.input.pad for side in manifest.input.size)
        return torch.zeros(1, manifest.input.channels, height, width)
    if manifest.series is not None:
        heard = 0 if manifest.series.memorised else len(manifest.series.channels)
        return torch.zeros(1, manifest.series.memorised or 1, heard + len(manifest.series.inputs))
    return torch.zeros(1, manifest.latent)


@contextmanager
def _reproducible(seed: int, threads: int) -> Iterator[None]:
    """Inside, torch's generator is seeded, its threads are counted and cuDNN is exact; outside, all is as it was."""
    cudnn = torch.backends.cudnn
    before = torch.get_num_threads(), cudnn.benchmark, cudnn.deterministic
    torch.set_num_threads(threads)
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        cudnn.benchmark, cudnn.deterministic = before[1:]


def versions() -> dict[str, str]:
    """What a weight depends on beside its recipe."""
    return {
        "chapterhouse": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _hardware(device: str, threads: int, processes: int) -> str:
    times = f"{processes} × " if processes > 1 else ""
    if device.startswith("cuda"):
        return f"{times}{torch.cuda.get_device_name(device)}"
    return f"{_processor()}, {times}{threads} thread{'s' if threads != 1 else ''}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
