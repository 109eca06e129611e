"""Waiting for what another thread, process or task does: as long as a slow machine takes, and never for ever."""

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""The longest wait for anything: far more than it takes, so that a slow machine fails nothing."""
PAUSE_S = 0.01


def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(PAUSE_S)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something is so, while the event loop goes on."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(PAUSE_S)
