"""A narrow ZFNet over the course of its training, and what its maps answer to: Zeiler and Fergus's figure 4."""

import copy
import io
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from experiments.claims.trial import CPU, Data, Trial, Watching, load_sets
from experiments.diagnosis.record import Snapshot
from service.nets.attribution import deconvolve, maps_of
from service.tasks.classify import normalise
from service.training.classifier import ClassifierRecipe, measure_accuracy, train_classifier
from service.training.progress import Progress
from service.training.run import Run

EPOCHS = 16
SHOWN = (1, 2, 4, 8, 16)
LAYERS = ("conv1", "conv2", "conv3", "conv5")
UNITS = 3
"""Of each layer."""
SEARCHED, TESTED = 500, 2000
"""Training images among which each map's strongest answer is sought; test images of the accuracy."""
TRIAL = Trial(
    "zfnet",
    {
        "classes": 10,
        "size": 32,
        "stem": [7, 1, 3],
        "second": [5, 1, 2],
        "widths": [16, 32, 48, 48, 32],
        "dense": [128, 128],
        "ceil": False,
        "drawing": "kaiming",
        "dropout": 0.2,
    },
    {
        "epochs": EPOCHS,
        "batch": 64,
        "optimiser": "sgd",
        "rate": 0.02,
        "schedule": "one-cycle",
        "warm_up": 0.2,
        "weight_decay": 5e-4,
        "clip": 2.0,
        "largest_rms": {"conv1": 0.1},
        "channels_last": True,
    },
    Data(images=5000),
)

Look = dict[str, list[tuple[Tensor, int]]]
"""By layer, of each unit the projection (C, H, W) of its strongest answer and the place of the image."""


def grow(data_dir: Path) -> tuple[list[nn.Module], float]:
    """The net after each of the epochs that are shown, all in one training; and its accuracy at the end."""
    sets = load_sets(TRIAL.data, data_dir)
    kept: list[nn.Module] = []

    def keep(net: nn.Module) -> float:
        kept.append(copy.deepcopy(net).eval())
        return 0.0

    with (
        tempfile.TemporaryDirectory(prefix="diagnosis-") as scratch,
        torch.random.fork_rng(devices=[]),
        Progress("zfnet", console=Console(file=io.StringIO())) as progress,
    ):
        torch.manual_seed(0)
        recipe: dict[str, Any] = {"loop": "classifier", "seed": 0, **TRIAL.recipe}
        run = Run(TRIAL.manifest, sets.training, CPU, Watching(Path(scratch), keep), progress)
        net = train_classifier(ClassifierRecipe(**recipe), run)
    nets = [kept[epoch - 1] for epoch in SHOWN]
    return nets, measure_accuracy(net, sets.test, TRIAL.data.spec, CPU)


def look(nets: list[nn.Module], data_dir: Path) -> tuple[list[Look], list[Snapshot]]:
    """What units answer to at each moment: those whose answers are the strongest at the end."""
    sets = load_sets(TRIAL.data, data_dir)
    x = normalise(torch.from_numpy(sets.training.first(SEARCHED).images), TRIAL.data.spec)
    units = {name: _strongest(nets[-1], name, x) for name in LAYERS}
    looks = [{name: _project(net, name, x, chosen) for name, chosen in units.items()} for net in nets]
    tested = sets.test.first(TESTED)
    snapshots = [
        Snapshot(
            epoch=epoch,
            accuracy=round(measure_accuracy(net, tested, TRIAL.data.spec, CPU), 4),
            moved={name: round(_moved(found[name], looks[-1][name]), 4) for name in LAYERS},
        )
        for epoch, net, found in zip(SHOWN, nets, looks, strict=True)
    ]
    return looks, snapshots


@torch.no_grad()
def _strongest(net: nn.Module, name: str, x: Tensor) -> list[int]:
    peaks = maps_of(net, x, net.get_submodule(name)).amax(dim=(2, 3))  # (n, K)
    return peaks.amax(dim=0).argsort(descending=True, stable=True)[:UNITS].tolist()


def _project(net: nn.Module, name: str, x: Tensor, units: list[int]) -> list[tuple[Tensor, int]]:
    layer = net.get_submodule(name)
    with torch.no_grad():
        places = maps_of(net, x, layer).amax(dim=(2, 3)).argmax(dim=0)[units].tolist()  # the image of each unit
    return [
        (deconvolve(net, x[place : place + 1], layer, [unit])[0], place)
        for unit, place in zip(units, places, strict=True)
    ]


def _moved(now: list[tuple[Tensor, int]], then: list[tuple[Tensor, int]]) -> float:
    """1 − the mean cosine between projections, pixel by pixel."""
    pairs = zip(now, then, strict=True)
    cosines = [cosine_similarity(a.flatten(), b.flatten(), dim=0) for (a, _), (b, _) in pairs]
    return float(1 - torch.stack(cosines).mean())
