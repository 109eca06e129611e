"""Gaussians in the plane, by which generators are tested for lost modes (PacGAN, arXiv 1712.04086, section 4.1)."""

from dataclasses import dataclass
from itertools import product
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.datasets.publication import Part

POINTS = 100_000
"""Of each part, as in the protocol."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Equally likely Gaussians of one deviation; there is nothing to download."""

    name: str
    modes: tuple[tuple[float, float], ...]
    deviation: float

    def load(self, data_dir: Path, part: Part) -> NDArray[np.float32]:  # noqa: ARG002 - as of datasets in files
        """Points (n, 2) of one part, always the same; no two parts share any."""
        rng = np.random.default_rng([len(self.modes), ("train", "test").index(part)])
        chosen = np.array(self.modes)[rng.integers(len(self.modes), size=POINTS)]
        return (chosen + self.deviation * rng.standard_normal((POINTS, 2))).astype(np.float32)


RING = Mixture("ring-8", tuple((cos(2 * pi * k / 8), sin(2 * pi * k / 8)) for k in range(8)), 0.01)
GRID = Mixture("grid-25", tuple((float(x), float(y)) for x, y in product(range(-4, 5, 2), repeat=2)), 0.05)
