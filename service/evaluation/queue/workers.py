"""Who works here: the state directory's own id, and names held by locks that only a living process can hold.

The kernel lets go of a lock however its process ends, so that an evaluator which was killed is told from one that is
slow at once, whatever process has its number by then.
"""

import fcntl
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from service.files import write_first


def home_of(state: Path) -> str:
    """The id of a state directory, written when it is first asked for: uploads are worked on where they lie."""
    file = state / "home"
    if not file.exists():
        state.mkdir(parents=True, exist_ok=True)
        write_first(file, secrets.token_hex(8).encode())
    return file.read_text("utf-8")


class Workers:
    """The names of the evaluators of one state directory."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "evaluators"
        self._tidying = state / "tidying"
        self._lock: BinaryIO | None = None

    def enter(self) -> "Worker":
        """A name of one's own, for as long as this process lives."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return Worker(self._folder / f"{os.getpid()}-{secrets.token_hex(4)}")

    def is_gone(self, name: str) -> bool:
        """Whether the evaluator of this name has died or given it up."""
        try:
            file = (self._folder / name).open("rb")
        except FileNotFoundError:
            return True
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        (self._folder / name).unlink(missing_ok=True)
        return True

    def tidies_up(self) -> bool:
        """Whether it is this process that removes what is not to be kept: the first to ask, as long as it lives."""
        if self._lock is None:
            self._tidying.parent.mkdir(parents=True, exist_ok=True)
            lock = self._tidying.open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                return False
            self._lock = lock
        return True

    def stop_tidying(self) -> None:
        """Let another process remove what is not to be kept."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class Worker:
    """One evaluator's name, as its claims carry it."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._file = path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def leave(self) -> None:
        """Give the name up."""
        self._path.unlink(missing_ok=True)
        self._file.close()
