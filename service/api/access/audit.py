"""A line in the log for every write: who did what, from where, and how it ended. Refused ones are told now and then."""

import logging
import time
from collections.abc import Callable

from service.api.access.callers import Caller
from service.telemetry.logs import plain

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged

REFUSED = (401, 403, 429, 503)
"""What is answered before anything has been done."""
HUNG_UP = 499
"""What nobody was answered any more: of somebody whom nobody knows it is told as seldom as what is refused."""
REFUSALS_EVERY_S = 60.0
"""Whoever is refused again and again does not fill the log."""


class Audit:
    """What has been written, and how many tried in vain."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = float("-inf")
        self._untold = 0

    def note(self, method: str, path: str, caller: Caller, status: int, request_id: str) -> None:
        """Tell of one write."""
        who = caller.name if caller.is_known else "anybody"
        words = (method, plain(path), who, plain(caller.address), status, plain(request_id))
        if status not in REFUSED and (status != HUNG_UP or caller.is_known):
            log.info("%s %s by %s from %s: %d, request %s", *words)
            return
        self._untold += 1
        if self._clock() - self._told_at >= REFUSALS_EVERY_S:
            log.warning(
                "%s %s by %s from %s: %d, request %s; %d refused since the last such line", *words, self._untold
            )
            self._told_at, self._untold = self._clock(), 0
