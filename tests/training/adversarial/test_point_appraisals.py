import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from service.datasets.registry import MIXTURES
from service.store import Manifest, PointsOutput
from service.training.adversarial.appraisals import POINTS, PointAppraiser
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.run import Run

RING = MIXTURES["ring-8"]


class Placing(nn.Module):
    """Two generators: the first knows every mode, the second only one of them, and misses it half of the time."""

    def forward(self, z: Tensor) -> Tensor:
        modes = torch.tensor(RING.modes)
        n = len(z) // 2
        all_modes = modes[torch.arange(n) % 8]
        one_mode = modes[:1] + (torch.arange(n)[:, None] % 2)
        return torch.cat([all_modes, one_mode]).float()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    manifest = Manifest(
        net="toy-generator",
        task="generate",
        chapter=7,
        paper="",
        summary="",
        dataset="ring-8",
        points=PointsOutput(latent=2, modes=RING.modes, deviation=RING.deviation),
    )
    progress = Progress("test", console=Console(file=io.StringIO()))
    data = np.zeros((1, 2), np.float32)
    return Run(manifest, data, torch.device("cpu"), Checkpoints(tmp_path, {}), progress)


def test_each_of_a_stack_is_measured_for_itself(run: Run) -> None:
    row = PointAppraiser(RING, run, every=5, seed=0, stack=2).measure(Placing())
    assert (row["modes"], row["all_modes"], row["good"]) == (4.5, 8, 0.75)
    assert row["modes_deviation"] == pytest.approx(np.std([8, 1], ddof=1))
    assert (row["modes_of_0"], row["modes_of_1"]) == (8, 1)
    assert row["reverse_kl"] == pytest.approx(np.log(8) / 2, abs=1e-3)


def test_the_latents_are_those_of_serving_and_nothing_is_drawn(run: Run) -> None:
    state = torch.get_rng_state()
    shown: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            shown.append(z)
            return torch.full((len(z), 2), torch.nan)

    row = PointAppraiser(RING, run, every=5, seed=0, stack=1).measure(Watching())
    assert shown[0].shape == (POINTS, 2)
    assert (row["modes"], row["good"]) == (0, 0)
    assert "modes_deviation" not in row
    assert torch.equal(torch.get_rng_state(), state)
