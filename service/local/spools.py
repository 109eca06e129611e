"""Where an `Evaluation` keeps the images of both sides: in files of a folder of its own."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.evaluation.samples.spool import ImageShape, ImageSpool, Spooled

GENERATED, REFERENCE = "generated", "reference"


class Spools:
    """A spool of images for each side that has any."""

    def __init__(self, shape: ImageShape) -> None:
        self._shape = shape
        self._spools: dict[str, ImageSpool] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="chapterhouse-"))

    def __getitem__(self, whose: str) -> ImageSpool:
        """The spool of a side, empty at first. Raises RuntimeError after the end."""
        if whose not in self._spools:
            if not self.folder.exists():
                raise RuntimeError("The evaluation is closed; make another one.")
            (self.folder / whose).mkdir()
            self._spools[whose] = ImageSpool(self.folder / whose, self._shape)
        return self._spools[whose]

    def count(self, whose: str) -> int:
        """How many images a side has."""
        return len(self._spools[whose].digests) if whose in self._spools else 0

    def content(self) -> dict[str, Spooled]:
        """All that was taken, in files: good as long as these spools are."""
        return {whose: spool.content() for whose, spool in self._spools.items()}

    def packed(self) -> dict[str, Spooled]:
        """All that was taken, in memory."""
        return {
            whose: replace(taken, pixels=np.array(taken.pixels), digests=np.array(taken.digests))
            for whose, taken in self.content().items()
        }

    def extend(self, taken: Mapping[str, Spooled]) -> None:
        """Take all that others took, after what is here."""
        for whose, images in taken.items():
            self[whose].extend(images)

    def empty(self, whose: str) -> None:
        """Forget a side."""
        if whose in self._spools:
            with self._spools.pop(whose):
                shutil.rmtree(self.folder / whose)

    def close(self) -> None:
        """Forget both sides, and the folder."""
        for whose in list(self._spools):
            self.empty(whose)
        shutil.rmtree(self.folder, ignore_errors=True)
