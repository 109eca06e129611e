"""What every storage does: files under keys such as `reports/874ee9faa285da0a/exhibits.npz`, whole or not at all."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

_KEY = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
PIECE_BYTES = 8 << 20
"""How much of a file is in memory at a time, and a part of an upload to a store of objects."""


class Entry(NamedTuple):
    """One file of a storage."""

    key: str
    size_bytes: int
    modified: float
    """Seconds since 1970."""


class Storage(Protocol):
    """Files under keys. A reader sees a whole file or none, the old one or the new one.

    `name` says which storage this is where several services share it, and is empty where it is one machine's own. Every
    method may take long, and raises StorageUnavailable while the storage does not answer.
    """

    name: str

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of a file, piece by piece."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Keep these bytes."""
        ...

    def get(self, key: str) -> bytes:
        """What was kept. Raises FileNotFoundError."""
        ...

    def stream(self, key: str) -> Iterator[bytes]:
        """The same in pieces. Raises FileNotFoundError."""
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every file below a folder, in no order."""
        ...

    def version(self, key: str) -> str | None:
        """A word that changes with the file; None where there is none."""
        ...

    def delete(self, key: str) -> None:
        """Delete a file, or a folder with all that is in it; what is not there is deleted already."""
        ...


def checked(key: str) -> str:
    """A key that leads nowhere else. Raises ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key[:100]!r} is no key of a storage")
    return key
