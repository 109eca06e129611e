"""Stacked-MNIST: three digits as the colours of one image, a thousand modes (Metz et al. 2017; PacGAN, section 4.2)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.datasets.mnist import MNIST
from service.datasets.publication import Dataset, Part
from service.datasets.split import Split

DIGITS = 3
COUNTS: dict[Part, int] = {"train": 128_000, "test": 26_000}


@dataclass(frozen=True, slots=True)
class Stacked:
    """Images whose channels are random images of another dataset; there is nothing to download beside that."""

    name: str
    of: Dataset

    @property
    def modes(self) -> int:
        """How many labels there are."""
        return int(self.of.classes**DIGITS)

    def load(self, data_dir: Path, part: Part) -> Split:
        """Images (n, H, W, 3) and the three labels as one number, always the same. Raises DatasetMissing."""
        single = self.of.load(data_dir, part)
        rng = np.random.default_rng(("train", "test").index(part))
        chosen = rng.integers(len(single), size=(COUNTS[part], DIGITS))  # (n, 3)
        images = np.concatenate([single.images[column] for column in chosen.T], axis=3)
        places = self.of.classes ** np.arange(DIGITS - 1, -1, -1)
        return Split(images, (single.labels[chosen] * places).sum(axis=1).astype(np.uint16))


STACKED_MNIST = Stacked("stacked-mnist", MNIST)
