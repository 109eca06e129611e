"""What one upload may unpack to, counted as the bytes appear: sizes that a file declares are not believed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from service.errors import UnreadableArchive
from service.evaluation.threads import Stop

PIECE_BYTES = 1 << 20
CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Most unpacked bytes of an upload, pixels of an image, entries of an archive and bytes of one entry."""

    unpacked_bytes: int
    image_pixels: int
    entries: int = 250_000
    entry_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive: its bytes, or the fault that keeps them from being read; of a hidden one neither."""

    name: str
    data: bytes = b""
    fault: str = ""
    hidden: bool = False


class EntryDamaged(Exception):
    """One file of an archive cannot be read, for the reason given; the others may be."""


class Stream(Protocol):
    """Bytes that are read once, from the front."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Budget:
    """What an upload may still unpack, and whether anybody still waits for it: spending raises Stopped then."""

    def __init__(self, limits: Limits, stop: Stop | None = None) -> None:
        self.limits = limits
        self.stop = stop or Stop()
        self.left_bytes = limits.unpacked_bytes
        self._entries = 0

    def spend(self, size: int) -> None:
        """Count bytes that were, or are about to be, unpacked. Raises UnreadableArchive past the limit."""
        self.stop.check()
        self.left_bytes -= size
        if self.left_bytes < 0:
            raise UnreadableArchive(f"The file unpacks to more than {self.limits.unpacked_bytes:,} bytes.")

    def count_entry(self) -> None:
        """Count one entry. Raises UnreadableArchive past the limit."""
        self.stop.check()
        self._entries += 1
        if self._entries > self.limits.entries:
            raise UnreadableArchive(f"The archive has more than {self.limits.entries:,} entries.")


def pieces(stream: Stream, budget: Budget, size: int | None = None, *, may_end: bool = False) -> Iterator[bytes]:
    """The stream's next `size` bytes, or all of them, in bounded pieces.

    Raises EOFError where there are fewer, unless the stream may end there.
    """
    left = size
    while left is None or left > 0:
        piece = stream.read(PIECE_BYTES if left is None else min(left, PIECE_BYTES))
        if not piece:
            break
        budget.spend(len(piece))
        left = None if left is None else left - len(piece)
        yield piece
    if left and not may_end:
        raise EOFError(f"{left:,} bytes are missing")


def is_clutter(name: str) -> bool:
    """Whether a file is there for an operating system, not for its owner: hidden, `__MACOSX`, `Thumbs.db`."""
    parts = name.replace("\\", "/").split("/")
    return any(part.lower() in CLUTTER or (part.startswith(".") and part not in (".", "..")) for part in parts)


def short(name: str) -> str:
    """A client's file name, safe to print in one line."""
    return repr(name if len(name) <= 120 else f"{name[:60]}…{name[-59:]}")
