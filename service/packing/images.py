"""Images as pictures: all on one grid, or a PNG file each in a zip."""

from typing import ClassVar

import numpy as np

from service.imaging import Pixels, tile
from service.packing.pngs import PNGs
from service.packing.stream import Contents, Whole
from service.packing.zips import Zip


class Grid(Whole):
    """One PNG with every image on it."""

    limit: ClassVar[int | None] = 1024
    """A grid of more images is nothing to look at, and is made in memory."""

    def finish(self) -> bytes:
        """The PNG."""
        grid = tile(np.concatenate(self.blocks), columns=self.contents.columns)
        return next(PNGs(grid.shape).encode(grid[None]))


class PNGFiles:
    """A zip of PNG files, named by their index."""

    limit: ClassVar[int | None] = None

    def __init__(self, contents: Contents) -> None:
        self._digits = max(5, len(str(contents.count - 1)))
        self._pngs = PNGs(contents.shape)
        self._zip = Zip()

    def add(self, samples: Pixels) -> bytes:
        """The bytes of some more PNG files."""
        return b"".join(
            self._zip.add(f"{self._zip.count:0{self._digits}}.png".encode(), png) for png in self._pngs.encode(samples)
        )

    def finish(self) -> bytes:
        """The directory of the archive."""
        return self._zip.finish()

    def close(self) -> None:
        """Nothing is held but the directory."""
