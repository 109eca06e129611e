"""Heads of requests that have been answered directly: who asks again sends the same, and it is understood already."""

from collections.abc import MutableMapping
from typing import Any, NamedTuple

from service.api.gate import Passage
from service.api.together import DirectPath

END = b"\r\n\r\n"
MOST = 512
"""Heads that are known at a time."""
LONGEST_BYTES = 1024
"""A head no longer than this is remembered."""
MOST_PEERS = 16
"""Addresses of which it is known that a head was let in from there."""
EACH_ANEW = b"x-request-id"
"""A header that says something else each time: a head with it does not come again."""


class Head(NamedTuple):
    """The head of a plain request."""

    direct: DirectPath
    path: str
    raw_path: bytes
    query: bytes
    lines: list[tuple[bytes, bytes]]
    headers: dict[bytes, bytes]
    """The same by their names, of which none stands twice."""
    length: int
    """Of the body."""
    passages: dict[str, Passage]
    """What follows from it for those that were let in with it, by the addresses that they came from."""

    def tell(self, scope: MutableMapping[str, Any]) -> None:
        """Have a request say what the head says."""
        scope["method"], scope["path"] = "POST", self.path
        scope["raw_path"], scope["query_string"], scope["headers"] = self.raw_path, self.query, self.lines

    def remember(self, peer: str, passage: Passage) -> None:
        """Know that one from this address was let in, and what followed from that."""
        if len(self.passages) >= MOST_PEERS:
            del self.passages[next(iter(self.passages))]
        self.passages[peer] = passage


class KnownHeads:
    """What the connections of a front know of the heads that have come.

    The same bytes at the beginning of a request are the same head, so nothing of a caller's is remembered for another.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of a whole request whose head is known; None for anything else."""
        begin = data.find(END) + len(END)
        head = self._known.get(data[:begin])
        return (head, data[begin:]) if head is not None and len(data) == begin + head.length else None

    def remember(self, data: bytes, head: Head) -> None:
        """Know the head of a request from now on, where its bytes are all of the data and its head ends first."""
        begin = data.find(END) + len(END)
        if len(data) != begin + head.length or begin > LONGEST_BYTES or EACH_ANEW in head.headers:
            return
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[data[:begin]] = head
