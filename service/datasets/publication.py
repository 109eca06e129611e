"""A dataset as its publisher hands it out: files, addresses, hashes, and how to read them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.datasets.split import Split
from service.errors import DatasetMissing

Part = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file, where its publisher keeps it, and the md5 that the publisher gives for it."""

    name: str
    url: str
    md5: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset by its name, which is also its folder inside the data directory."""

    name: str
    classes: int
    files: tuple[PublishedFile, ...]
    read: Callable[[Path, Part], Split]

    def load(self, data_dir: Path, part: Part) -> Split:
        """The training or the test images. Raises DatasetMissing, naming what is not there."""
        folder = data_dir / self.name
        for file in self.files:
            if not (folder / file.name).is_file():
                raise DatasetMissing(
                    f"{folder / file.name} is missing; `chapterhouse data fetch {self.name}` downloads it,"
                    " and CHAPTERHOUSE_DATA_DIR says where datasets lie."
                )
        return self.read(folder, part)
