"""The card that this process measures with, where a setting names one, and what its reports say of that."""

import logging
from functools import cache

import numpy as np

from service import __version__
from service.metrics.placement import Card

log = logging.getLogger(__name__)

HERE, SIMULATED = "cpu", "simulated"
"""Where numpy computes, and where torch does on the processor as it would on a card, for rehearsals."""
VERSIONS = {"chapterhouse": __version__, "numpy": np.__version__}


def card_of(device: str) -> Card | None:
    """The card of this name, opened once; None where none is wanted, or it cannot be opened, which the log tells.

    The next evaluation tries again.
    """
    if device == HERE:
        return None
    try:
        return _open(device)
    except (AssertionError, ImportError, RuntimeError):  # the first where torch was built without CUDA
        log.exception("CHAPTERHOUSE_METRICS_DEVICE=%s cannot be opened; numpy computes the metrics.", device)
        return None


def versions_of(card: Card | None) -> dict[str, str]:
    """What a report was computed with."""
    return VERSIONS if card is None else {**VERSIONS, **card.versions}


@cache
def _open(device: str) -> Card:
    from service.metrics.torch_card import TorchCard

    return TorchCard(device.replace(SIMULATED, HERE))
