"""Trainings of points whose generators are measured and thrown away."""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from torch.optim.swa_utils import AveragedModel

from service.datasets.registry import find_mixture
from service.store import Manifest
from service.training.adversarial.loop import train_adversarial
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.checkpoints import Checkpoints, Stateful
from service.training.progress import Progress
from service.training.run import Run


class Kept(Checkpoints):
    """The checkpoints of a training whose generators, all of a stack, are wanted when it is over."""

    generators: nn.Module

    def restore(self, **parts: Stateful) -> int:
        """As always; the average of the generators is remembered."""
        average = parts["kept"]
        assert isinstance(average, AveragedModel)
        self.generators = average.module
        return super().restore(**parts)


def train_points(recipe: Mapping[str, Any], manifest: Manifest, data_dir: Path) -> tuple[dict[str, float], nn.Module]:
    """What was measured last, and the generators, side by side. Raises TrainingFailed."""
    data = find_mixture(manifest.dataset).load(data_dir, "train")
    with (
        tempfile.TemporaryDirectory(prefix="points-") as folder,
        torch.random.fork_rng(devices=[]),
        Progress("points", console=Console(file=io.StringIO())) as progress,
    ):
        torch.manual_seed(recipe["seed"])
        checkpoints = Kept(Path(folder), {})
        run = Run(manifest, data, torch.device("cpu"), checkpoints, progress)
        train_adversarial(AdversarialRecipe(**recipe), run)
    return run.ending, checkpoints.generators
