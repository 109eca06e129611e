"""Images of several sizes in one file, for extractors that resample them themselves."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.imaging import Pixels

Shape = tuple[int, int, int]

SHAPES_NAMED = 3


class Album:
    """Images uint8 (H, W, C), each of its own height and width, in an order that need not be that of the file.

    `of_shape` says which of the shapes each has, as they lie in the file.
    """

    def __init__(self, file: Path, shapes: Sequence[Shape], of_shape: Sequence[int], order: NDArray[np.intp]) -> None:
        sizes = np.array([height * width * channels for height, width, channels in shapes])
        self._bytes = np.memmap(file, np.uint8, mode="r")
        self._begins = np.concatenate([[0], np.cumsum(sizes[of_shape])])
        self._shapes, self._of_shape = shapes, of_shape
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, row: int) -> Pixels:
        place = self._order[row]
        return self._bytes[self._begins[place] : self._begins[place + 1]].reshape(self._shapes[self._of_shape[place]])


Images = Pixels | Album
"""Images uint8 (n, H, W, C) of one size, or of several."""


def shape_words(shapes: Counter[Shape]) -> str:
    """The commonest shapes, for people."""
    named = ", ".join("×".join(map(str, shape)) for shape, _ in shapes.most_common(SHAPES_NAMED))
    return named + (", …" if len(shapes) > SHAPES_NAMED else "")
