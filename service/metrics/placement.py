"""Where a measurement's large products are computed: on a card that it was given, else here by numpy.

A card computes in double precision, whatever numpy would do with as many rows, and only the sums come back. What it
answers differs from numpy's by rounding; which samples are neighbours is decided here, without an error, either way.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol, TypeVar

from service.metrics.centred import Centred
from service.metrics.distances import Floats
from service.metrics.kernels import Kernel
from service.metrics.samples import Real, Rows

log = logging.getLogger(__name__)

WORTH = 1 << 30
"""Multiplications from which on a card is asked: some hundredths of a second of one core."""

T = TypeVar("T")


class Totals(NamedTuple):
    """A kernel's sums over rows and columns, and of its squares; within one set, each pair counts from both sides."""

    rows: Real
    columns: Real
    squares: float


class Move(NamedTuple):
    """What rows are moved by (d,), and then scaled with."""

    centre: Real
    scale: float


class Card(Protocol):
    """A device that multiplies. What fails there is a RuntimeError, as it is in torch."""

    least: int
    """Multiplications from which on it is asked."""
    versions: Mapping[str, str]
    """What a report says of it."""

    def moments(self, rows: Rows) -> tuple[Real, Real]:
        """The mean (d,) of rows (n, d) and their scatter (d, d)."""
        ...

    def kernel_sums(
        self, x: Centred, y: Centred | None, kernels: Sequence[Kernel], sharp: Sequence[bool]
    ) -> list[Totals]:
        """Of each kernel between two sets, or within one, whose rows with themselves are left out.

        Where a kernel is sharp, small distances are computed again.
        """
        ...

    def multiply(self, x: Rows, y: Rows, parts: tuple[slice, slice], move: Move, out: Floats) -> Floats:
        """The products of some rows of a set with some of another, all moved, written into `out`."""
        ...

    def free(self) -> None:
        """Let go of all rows that it keeps."""
        ...


class Placement:
    """The card of one measurement. Once it has failed, the measurement goes on here."""

    def __init__(self, card: Card) -> None:
        self._card: Card | None = card
        self.warnings: list[str] = []

    def ask(self, multiplications: int, work: Callable[[Card], T]) -> T | None:
        """What the card answers; None where it has failed, or so little work is done sooner here."""
        card = self._card
        if card is None or multiplications < card.least:
            return None
        try:
            return work(card)
        except RuntimeError as error:
            log.exception("A card has failed; the measurement goes on on the processor.")
            if self._card is not None:  # another thread may have said so
                self._card = None
                self.warnings.append(f"A card failed ({type(error).__name__}); what it had not answered is numpy's.")
            return None


_placement: ContextVar[Placement | None] = ContextVar("placement", default=None)


@contextmanager
def placed_on(card: Card | None) -> Iterator[Placement | None]:
    """Inside, in this thread and those that are given its context, a card is asked first."""
    placement = None if card is None else Placement(card)
    token = _placement.set(placement)
    try:
        yield placement
    finally:
        _placement.reset(token)
        if card is not None:
            card.free()


def ask_card(multiplications: int, work: Callable[[Card], T]) -> T | None:
    """What the card of this measurement answers; None where numpy has to."""
    placement = _placement.get()
    return None if placement is None else placement.ask(multiplications, work)


def has_card(multiplications: int) -> bool:
    """Whether a card would be asked for so much work."""
    return bool(ask_card(multiplications, lambda _: True))
