"""The stages of a batch on a card, and the queues in which a card works them off beside each other."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol


class Stage(StrEnum):
    """What happens to a batch, in this order; while one is computed the next comes and the last goes."""

    IN = "copy in"
    COMPUTE = "compute"
    OUT = "copy out"


class Piece(NamedTuple):
    """The batch that a stage is about: its number on this card, its rows with padding, and what it is in words."""

    number: int
    rows: int
    what: str


class Mark(Protocol):
    """A place in a queue."""

    def wait(self) -> None:
        """Return when all before it is done. Raises what that raised."""
        ...


class Streams(Protocol):
    """A queue a stage, each in its own order, all beside each other."""

    def run(self, stage: Stage, piece: Piece, work: Callable[[], None], after: Mark | None = None) -> Mark:
        """Append work to a stage's queue, which waits there for another's mark; the place after it.

        Raises what the work raises at once; what it raises later, its mark and those of who waits for it raise.
        """
        ...

    def close(self) -> None:
        """Let go of the queues once they are empty."""
        ...
