"""Where uploads lie until their evaluation is over: a folder each, visible only when it is whole."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.evaluation.threads import Stop
from service.files import remove_stale, show

RESERVED = ".reserved"
ATTEMPT = "attempt-"


class Uploads:
    """The folders of uploads in the state directory."""

    def __init__(self, state: Path) -> None:
        self._root = state / "uploads"

    def begin(self, job_id: str, *, expected_bytes: int = 0) -> Path:
        """A new folder to receive files in: nobody looks into it yet, but the bytes that it expects count already."""
        folder = self._root / f".{job_id}"
        folder.mkdir(parents=True)
        if expected_bytes:
            with (folder / RESERVED).open("wb") as reserved:
                reserved.truncate(expected_bytes)  # a hole: it has a length and takes no room
        return folder

    def commit(self, job_id: str) -> None:
        """Make the received files the evaluation's own, all at once. Raises OSError."""
        receiving = self._root / f".{job_id}"
        (receiving / RESERVED).unlink(missing_ok=True)
        show(receiving, self._root / job_id)

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

    def size_of(self, job_id: str) -> int:
        """The bytes that were received for an accepted evaluation."""
        return _size_of(self._root / job_id)

    def used_bytes(self) -> int:
        """What all uploads take, with what was made of them and what is still to come of those being received."""
        if not self._root.is_dir():
            return 0
        return sum(_size_of(folder) for folder in self._root.iterdir())

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


def _size_of(folder: Path) -> int:
    """The bytes under a folder, or those that it expects where they are more; files may go while they are counted."""
    expected = received = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size = (Path(parent) / name).stat().st_size
                if name == RESERVED:
                    expected = size
                else:
                    received += size
    return max(expected, received)
