"""What every dataset is once read: images and their labels."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images uint8 (n, H, W, C) and labels (n,), uint8 but for a thousand classes, in the publisher's order."""

    images: NDArray[np.uint8]
    labels: NDArray[np.unsignedinteger]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Self:
        """The first `count` images."""
        return type(self)(self.images[:count], self.labels[:count])

    def divide(self, held_out: int) -> tuple[Self, Self]:
        """All but the last `held_out` images, and these."""
        border = len(self) - held_out
        return (
            type(self)(self.images[:border], self.labels[:border]),
            type(self)(self.images[border:], self.labels[border:]),
        )
