"""What every training loop is given beside its recipe."""

from dataclasses import dataclass

import torch

from service.datasets.split import Split
from service.store import Manifest
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress


@dataclass(frozen=True, slots=True)
class Run:
    """One training: of what, on what, where it can be stopped, and who watches.

    Torch's generator is seeded before the loop starts. `images` are training images only.
    """

    manifest: Manifest
    images: Split
    device: torch.device
    checkpoints: Checkpoints
    progress: Progress
