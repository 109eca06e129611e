"""A store of objects as a storage: S3 and what speaks like it, Google's, Azure's, through fsspec."""

import errno
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from service.errors import StorageUnavailable
from service.storage.storage import PIECE_BYTES, Entry, checked

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE_S = 1.0
LOG_EVERY_S = 60.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 1}}}
}
"""So that a store which does not answer is noticed before those who wait have gone."""
TRIES = 2
"""How often a library asks by itself; the rest is our patience."""
SENDING: dict[str, dict[str, int]] = {"s3": {"chunksize": PIECE_BYTES, "max_concurrency": 4}}
"""How a large file is sent: in parts, a few of which are in memory."""
MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "created")
"""What libraries call the time of the last change."""


class Objects:
    """The objects below an address. What fails is tried again for `patience_s` before that is told."""

    def __init__(self, url: str, *, name: str, patience_s: float = 0.0) -> None:
        self.name = name
        self._patience_s = patience_s
        protocol = url.partition(":")[0]
        self._sending = SENDING.get(protocol, {})
        self._said = -LOG_EVERY_S
        self._files, root = fsspec.url_to_fs(url, use_listings_cache=False, **OPTIONS.get(protocol, {}))
        self._root = root.rstrip("/")
        if hasattr(self._files, "retries"):
            self._files.retries = TRIES

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of a file, in parts where it is large. Raises StorageUnavailable."""
        at = self._at(key)
        self._insist(lambda: self._files.put_file(str(source), at, **self._sending))

    def write(self, key: str, data: bytes) -> None:
        """Keep these bytes. Raises StorageUnavailable."""
        at = self._at(key)
        self._insist(lambda: self._files.pipe_file(at, data))

    def get(self, key: str) -> bytes:
        """What was kept. Raises FileNotFoundError, StorageUnavailable."""
        at = self._at(key)
        data: bytes = self._ask(lambda: self._files.cat_file(at))
        return data

    def stream(self, key: str) -> Iterator[bytes]:
        """The same in pieces, each asked for by itself. Raises FileNotFoundError, StorageUnavailable."""
        at, start = self._at(key), 0
        size = int(self._ask(lambda: self._files.info(at))["size"])
        while start < size:
            end = min(start + PIECE_BYTES, size)
            piece: bytes = self._ask(lambda: self._files.cat_file(at, start=start, end=end))  # noqa: B023 - asked now
            if len(piece) != end - start:
                raise StorageUnavailable("The storage sent a part of a file, and not all of it.")
            yield piece
            start = end

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every object below a folder. Raises StorageUnavailable."""
        at = self._at(prefix)
        try:
            found = self._ask(lambda: self._files.find(at, detail=True))
        except FileNotFoundError:
            return
        for path, known in found.items():
            yield Entry(path.removeprefix(f"{self._root}/"), int(known["size"]), _modified(known))

    def version(self, key: str) -> str | None:
        """A word that changes with the object; None where there is none. Raises StorageUnavailable."""
        at = self._at(key)
        try:
            known = self._ask(lambda: self._files.info(at))
        except FileNotFoundError:
            return None
        words = known.get("ETag") or known.get("etag") or [known["size"], _modified(known)]
        return hashlib.sha256(str(words).encode()).hexdigest()[:32]

    def delete(self, key: str) -> None:
        """Delete an object, or all below a folder. Raises StorageUnavailable."""
        at = self._at(key)

        def remove() -> None:
            try:
                if found := list(self._files.find(at)):
                    self._files.rm(found)
            except FileNotFoundError:
                pass  # somebody else has deleted it meanwhile

        self._insist(remove)

    def _at(self, key: str) -> str:
        return f"{self._root}/{checked(key)}"

    def _insist(self, act: Callable[[], object]) -> None:
        """Do what cannot be missing a file of the store: where one is, the store itself is not there."""
        try:
            self._ask(act)
        except FileNotFoundError as error:
            raise self._unavailable(error) from error

    def _ask(self, ask: Callable[[], T]) -> T:
        until = time.monotonic() + self._patience_s
        while True:
            try:
                return ask()
            except FileNotFoundError:
                raise
            except Exception as error:  # each library has errors of its own
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                told = self._unavailable(error)
                if time.monotonic() >= until:
                    raise told from error
            time.sleep(PAUSE_S)

    def _unavailable(self, error: Exception) -> StorageUnavailable:
        """The error for callers; the operator is told of it once a minute."""
        now = time.monotonic()
        if now - self._said >= LOG_EVERY_S:
            self._said = now
            log.warning("the storage %s does not answer: %s: %s", self.name, type(error).__name__, error)
        return StorageUnavailable("The storage of uploads and reports does not answer.")


def _modified(known: Mapping[str, Any]) -> float:
    """When an object was changed; now, where nobody says: then it is never taken for old."""
    found = next((known[word] for word in MODIFIED if known.get(word)), None)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.timestamp() if isinstance(found, datetime) else float(found or time.time())
