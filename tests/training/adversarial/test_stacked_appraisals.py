import io
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from training.eye import make_eye

from service.datasets.registry import STACKED
from service.datasets.split import Split
from service.nets.registry import open_net
from service.store import ImageOutput, Manifest
from service.training.adversarial.appraisals import Appraised, StackedAppraiser
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.run import Run

SPEC = ImageOutput(size=(28, 28), channels=3, latent=2)


class Noise(nn.Module):
    """A generator whose channels are noise of their own, or all the same."""

    def __init__(self, *, grey: bool) -> None:
        super().__init__()
        self.grey = grey

    def forward(self, z: Tensor) -> Tensor:
        noise = torch.rand(len(z), 3, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return noise[:, :1].expand(-1, 3, -1, -1) if self.grey else noise


def test_three_digits_are_one_mode(tmp_path: Path) -> None:
    eye = make_eye(tmp_path / "eye")
    manifest = Manifest(
        net="dcgan32-generator", task="generate", chapter=7, paper="", summary="", dataset="stacked-mnist", output=SPEC
    )
    images = Split(np.zeros((4, 28, 28, 3), np.uint8), np.zeros(4, np.uint16))
    progress = Progress("test", console=Console(file=io.StringIO()))
    checkpoints = Checkpoints(tmp_path / "checkpoints", {})
    run = Run(manifest, images, torch.device("cpu"), checkpoints, progress, find=lambda _: eye)
    appraised = Appraised(extractor="eye", samples=250)
    appraiser = StackedAppraiser(appraised, SPEC, STACKED["stacked-mnist"], run, seed=0)
    of_three, of_one = appraiser.measure(Noise(grey=False)), appraiser.measure(Noise(grey=True))
    assert of_one["all_modes"] == 1000
    assert of_one["modes"] <= 10
    assert of_three["modes"] > of_one["modes"]
    assert of_one["reverse_kl"] > of_three["reverse_kl"] > 0

    pixels = torch.rand(250, 3, 28, 28, generator=torch.Generator().manual_seed(0)).mul(255).round()
    net = open_net(eye.manifest.net, eye.manifest.options, eye.weights)
    digits = net((pixels.flatten(0, 1)[:, None] / 255 - 0.1) / 0.3).argmax(dim=1).view(250, 3)
    assert of_three["modes"] == len({tuple(triple) for triple in digits.tolist()})
