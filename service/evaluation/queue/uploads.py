"""Where uploads lie until their evaluation is over: a folder each, visible only when it is whole."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.evaluation.threads import Stop
from service.files import bytes_of, files_below, remove_stale, show

OWNER = ".owner"
ATTEMPT = "attempt-"


class Uploads:
    """The folders of uploads in the state directory."""

    def __init__(self, state: Path) -> None:
        self._root = state / "uploads"

    def begin(self, job_id: str, *, owner: str = "") -> Path:
        """A new folder to receive a client's files in: nobody looks into it yet, but what comes counts as its own."""
        folder = self._root / f".{job_id}"
        folder.mkdir(parents=True)
        if owner:
            (folder / OWNER).write_text(owner, "utf-8")
        return folder

    def commit(self, job_id: str) -> int:
        """Make the received files the evaluation's own, all at once; the bytes that they are. Raises OSError."""
        show(self._root / f".{job_id}", self._root / job_id)
        return _size_of(self._root / job_id)

    def folder(self, job_id: str) -> Path:
        """The files of an accepted evaluation."""
        return self._root / job_id

    @contextmanager
    def attempt(self, job_id: str) -> Iterator[Path]:
        """An empty folder of its own for one attempt at an evaluation, deleted afterwards.

        What attempts that died have left is deleted first.
        """
        for left in self.folder(job_id).glob(f"{ATTEMPT}*"):
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=ATTEMPT, dir=self.folder(job_id)))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def discard(self, job_id: str) -> None:
        """Delete what was received for an evaluation, whole or not."""
        for folder in (self._root / f".{job_id}", self._root / job_id):
            shutil.rmtree(folder, ignore_errors=True)

    def used_bytes(self) -> Counter[str]:
        """What the uploads of each client take, with what was made of them, whole or still being received."""
        used: Counter[str] = Counter()
        if self._root.is_dir():
            for folder in self._root.iterdir():
                used[_owner_of(folder)] += _size_of(folder)
        return used

    def sweep(self, wanted: Collection[str], stop: Stop | None = None) -> None:
        """Delete the stale folders that processes which died have left, but none of a `wanted` evaluation.

        Raises Stopped between two of them.
        """
        if self._root.is_dir():
            remove_stale(self._unwanted(wanted, stop or Stop()))

    def _unwanted(self, wanted: Collection[str], stop: Stop) -> Iterator[Path]:
        for folder in self._root.iterdir():
            stop.check()
            if folder.name not in wanted:
                yield folder


def _owner_of(folder: Path) -> str:
    try:
        return (folder / OWNER).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _size_of(folder: Path) -> int:
    """The bytes under a folder."""
    return bytes_of(file for file in files_below(folder) if file.name != OWNER)
