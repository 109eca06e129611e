"""What stands for samples: 16 bytes of each, by which they are ordered, found again and told to be copies."""

from collections.abc import Iterator
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from service.evaluation.samples.columns import Column, mapped, parts_of

DIGEST_BYTES = LONGEST_PERSON_BYTES = 16
ROW = np.dtype((np.uint8, DIGEST_BYTES))
WHOLE = f"V{DIGEST_BYTES}"
"""A digest as one thing, which is compared at once."""

Digested = NDArray[np.uint8]
RowNumbers = NDArray[np.intp]


class _Sorted(NamedTuple):
    order: RowNumbers
    digests: Digested


class Digests:
    """The digests of samples in the order in which they came. They, and all that is made of them, lie in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._came = Column(folder, ROW)
        self._sorted: _Sorted | None = None

    def __len__(self) -> int:
        return len(self._came)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more; what was given is good as long as somebody has it."""
        self._came.__exit__()

    def add(self, found: bytes | memoryview) -> None:
        """Take one more, or several that are joined."""
        self._came.add(found)
        self._sorted = None

    def as_came(self) -> Digested:
        """All of them (n, 16)."""
        return self._came.map()

    def order(self) -> RowNumbers:
        """The permutation that sorts the samples by their digests, equal ones as they came."""
        return self._sort().order

    def ordered(self) -> Digested:
        """All of them (n, 16), sorted."""
        return self._sort().digests

    def ranks(self) -> RowNumbers:
        """The place that each sample has in that order, as they came."""
        order = self.order()
        # written before it is filled here and there, so that a full disk is an error and not the end of the process
        zeros = (np.zeros(part.stop - part.start, np.intp) for part in parts_of(len(order)))
        ranks = mapped(zeros, self._folder, np.intp, mode="r+")
        for part in parts_of(len(order)):
            ranks[order[part]] = np.arange(part.start, part.stop)
        return ranks

    def content_sha256(self, kind: str) -> str:
        """The sha256 of a set of this kind: the same whatever the order, the packing and the names of its files."""
        found = sha256(kind.encode())
        found.update(self.ordered().data)
        return found.hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where samples are exact copies of others."""
        copies = count_repeats(self.ordered().view(WHOLE).ravel())
        return (f"{copies:,} of {len(self):,} samples are exact copies of others.",) if copies else ()

    def _sort(self) -> _Sorted:
        if self._sorted is None:
            came = self.as_came()
            order = mapped(_sorted_places(came), self._folder, np.intp)
            digests = mapped((came[order[part]] for part in parts_of(len(order))), self._folder, ROW)
            self._sorted = _Sorted(order, digests)
        return self._sorted


def digest(row: NDArray[Any]) -> bytes:
    """16 bytes that stand for one sample's values and shape."""
    shape = repr(row.shape).encode()
    if len(shape) > LONGEST_PERSON_BYTES:
        shape = blake2b(shape, digest_size=LONGEST_PERSON_BYTES).digest()
    return blake2b(row.tobytes(), digest_size=DIGEST_BYTES, person=shape).digest()


def by_first_byte(digests: Digested) -> Iterator[RowNumbers]:
    """The places of the digests that begin with 0, 1, …, 255: parts that fit into memory, however many there are."""
    firsts = digests[:, 0].copy()
    return (np.flatnonzero(firsts == first) for first in range(256))


def count_repeats(ordered: NDArray[np.void]) -> int:
    """How many of sorted digests (n,), each as one thing, are the same as the one before."""
    return sum(int((ordered[1:][part] == ordered[:-1][part]).sum()) for part in parts_of(len(ordered) - 1))


def _sorted_places(digests: Digested) -> Iterator[RowNumbers]:
    for places in by_first_byte(digests):
        high, low = digests[places].view(">u8").T
        yield places[np.lexsort((low, high))]
