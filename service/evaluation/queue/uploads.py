"""Where uploads lie until their evaluation is over: a folder each, visible only when it is whole.

They are received onto this machine's disk. Where services share a storage they are put there before their evaluation is
accepted, and whoever works on it copies them onto a disk of its own.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.evaluation.threads import Stop
from service.files import STALE_S, bytes_of, files_below, remove_stale, show
from service.storage.storage import Storage

UPLOADS = "uploads"
OWNER = ".owner"
ATTEMPT = "attempt-"


class Uploads:
    """The folders of uploads in the state directory, or in a `storage` that services share."""

    def __init__(self, state: Path, storage: Storage | None = None) -> None:
        self._root = state / UPLOADS
        self._shared = storage if storage is not None and storage.name else None

    @property
    def is_shared(self) -> bool:
        """Whether other services work on them, too."""
        return self._shared is not None

    def begin(self, job_id: str, *, owner: str = "") -> Path:
        """A new folder to receive a client's files in: nobody looks into it yet, but what comes counts as its own."""
        folder = self._root / f".{job_id}"
        folder.mkdir(parents=True)
        if owner:
            (folder / OWNER).write_text(owner, "utf-8")
        return folder

    def commit(self, job_id: str) -> int:
        """Make the received files the evaluation's own, all at once; the bytes that they are.

        Raises OSError, StorageUnavailable.
        """
        received, folder = self._root / f".{job_id}", self._root / job_id
        if self._shared is None:
            show(received, folder)
            return _size_of(folder)
        size = _size_of(received)
        for file in received.iterdir():
            if file.name != OWNER:
                self._shared.put(f"{UPLOADS}/{job_id}/{file.name}", file)
        shutil.rmtree(received, ignore_errors=True)
        return size

    def folder(self, job_id: str) -> Path:
        """The files of an accepted evaluation that were uploaded onto this disk."""
        return self._root / job_id

    def bring(self, job_id: str, working_dir: Path, stop: Stop | None = None) -> Path:
        """The folder of an accepted evaluation's files: where they lie, or copied into one in `working_dir`.

        Raises OSError, StorageUnavailable, Stopped.
        """
        folder = self._root / job_id
        if self._shared is None or any(file.is_file() for file in folder.iterdir()):
            return folder
        brought = working_dir / UPLOADS
        brought.mkdir(exist_ok=True)
        for entry in self._shared.list(f"{UPLOADS}/{job_id}"):
            with (brought / entry.key.rpartition("/")[2]).open("wb") as file:
                for piece in self._shared.stream(entry.key):
                    (stop or Stop()).check()
                    file.write(piece)
        return brought

    @contextmanager
    def attempt(self, job_id: str) -> Iterator[Path]:
        """An empty folder of its own for one attempt at an evaluation, deleted afterwards.

        What attempts that died have left is deleted first.
        """
        folder = self.folder(job_id)
        if self.is_shared:
            folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{ATTEMPT}*"):
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=ATTEMPT, dir=folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
            if self.is_shared:
                with suppress(OSError):
                    folder.rmdir()  # unless it is an upload of before they were shared

    def discard(self, job_id: str) -> None:
        """Delete what was received for an evaluation, whole or not. Raises StorageUnavailable."""
        self.drop(job_id)
        if self._shared is not None:
            self._shared.delete(f"{UPLOADS}/{job_id}")

    def drop(self, job_id: str) -> None:
        """Delete what lies of it on this disk."""
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

    def sweep_shared(self, wanted: Collection[str], stop: Stop | None = None) -> None:
        """The same of the storage that services share. Raises Stopped, StorageUnavailable."""
        newest: dict[str, float] = {}
        for entry in self._shared.list(UPLOADS) if self._shared is not None else ():
            job_id = entry.key.split("/")[1]
            newest[job_id] = max(entry.modified, newest.get(job_id, 0.0))
        for job_id, modified in newest.items():
            (stop or Stop()).check()
            if self._shared is not None and job_id not in wanted and time.time() - modified > STALE_S:
                self._shared.delete(f"{UPLOADS}/{job_id}")

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
