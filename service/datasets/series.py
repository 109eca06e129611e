"""What every series is once read or generated: values, known inputs beside them, and the time between two steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.datasets.publication import Part

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values (T, channels) and known inputs (T, inputs), float64, `step` units of time apart."""

    values: Values
    inputs: Values
    step: float = 1.0

    @classmethod
    def of(cls, values: Values, *, step: float = 1.0) -> "Series":
        """A series without inputs."""
        return cls(values, np.zeros((len(values), 0)), step)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def whole(self) -> Values:
        """Values and inputs side by side, (T, channels + inputs)."""
        return np.concatenate([self.values, self.inputs], axis=1)


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """A series by its name in manifests, and where its two parts come from."""

    name: str
    channels: tuple[str, ...]
    inputs: tuple[str, ...]
    read: Callable[[Path, Part], Series]

    def load(self, data_dir: Path, part: Part) -> Series:
        """The part that training sees, or the one that it never does."""
        return self.read(data_dir, part)
