"""What the adversarial loop does with two losses: steps of a known length, on points."""

import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from service.datasets.registry import MIXTURES
from service.store import Manifest, PointsOutput
from service.training.adversarial.loop import train_adversarial
from service.training.adversarial.recipe import AdversarialRecipe
from service.training.adversarial.systems.registry import SYSTEMS
from service.training.adversarial.systems.step import Step
from service.training.adversarial.systems.system import System
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.run import Run

RING = MIXTURES["ring-8"]


class Slopes(System):
    """Losses whose slope is 1 by the critic's last bias and by each of the generator's; writes down the former."""

    met: ClassVar[list[float]] = []
    left: ClassVar[list[float]] = []

    def discriminator_loss(self, step: Step) -> Tensor:
        self.met.append(step.discriminator.get_parameter("judge.bias").item())
        return step.judge(step.real).mean()

    def generator_loss(self, step: Step) -> Tensor:
        return step.fake.sum(dim=1).mean()

    def constrain(self, discriminator: nn.Module) -> None:
        self.left.append(discriminator.get_parameter("judge.bias").item())


@pytest.fixture(autouse=True)
def slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "slopes", Slopes)
    Slopes.met.clear()
    Slopes.left.clear()


def bias_after(iterations: int, folder: Path, **said: Any) -> float:
    """One of the generator's last biases after so many iterations from one seed, each a step of 0.01."""
    plain = {
        "loop": "adversarial",
        "system": "slopes",
        "discriminator": "toy-discriminator",
        "discriminator_options": {"width": 4},
        "optimiser": "sgd",
        "generator_rate": 0.01,
        "discriminator_rate": 0.1,
        "iterations": iterations,
        "batch": 8,
    }
    manifest = Manifest(
        net="toy-generator",
        options={"width": 4},
        task="generate",
        chapter=7,
        paper="",
        summary="",
        dataset="ring-8",
        points=PointsOutput(latent=2, modes=RING.modes, deviation=RING.deviation),
    )
    progress = Progress("test", console=Console(file=io.StringIO()))
    points = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    run = Run(manifest, points, torch.device("cpu"), Checkpoints(folder / str(iterations), {}), progress)
    torch.manual_seed(1)
    trained = train_adversarial(AdversarialRecipe.model_validate(plain | said), run)
    return trained.get_parameter("place.bias").flatten()[0].item()


def test_the_discriminator_descends_and_is_constrained_after_each_step(tmp_path: Path) -> None:
    bias_after(3, tmp_path, discriminator_steps=2)
    descent = Slopes.met[0] - 0.1 * np.arange(7)
    assert Slopes.met == pytest.approx(descent[:-1], abs=1e-6)
    assert Slopes.left == pytest.approx(descent[1:], abs=1e-6)


def test_the_generator_descends_once_an_iteration(tmp_path: Path) -> None:
    assert bias_after(1, tmp_path) - bias_after(6, tmp_path) == pytest.approx(0.05, abs=1e-6)


def test_the_generator_that_is_kept_is_the_average_that_the_recipe_says(tmp_path: Path) -> None:
    steps = 1.0  # the first is taken as it is
    for step in range(2, 7):
        steps = 0.75 * steps + 0.25 * step
    found = bias_after(1, tmp_path) - bias_after(6, tmp_path, average=0.75)
    assert found == pytest.approx(0.01 * (steps - 1), abs=1e-6)
