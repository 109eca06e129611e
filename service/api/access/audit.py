"""A line in the log for every write: who did what, from where, and how it ended. Refused ones are told now and then."""

import logging
import time
from collections.abc import Callable
from urllib.parse import quote

from service.api.access.callers import Caller
from service.telemetry.logs import LONGEST, plain, told

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # these lines are wanted however little else is logged

REFUSED = (401, 403, 429, 503)
"""What is answered before anything has been done: of that, and of all that fails by somebody whom nobody knows, a line
now and then is enough."""
FAILED = 400
LINE = "%s %s by %s from %s: %d"
PLAIN = "/:@,;~"
"""What of a path is written as it is, beside letters and digits: no blank, so that nobody writes what follows it."""
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
        words = (method, quote(path[:LONGEST], safe=PLAIN), who, plain(caller.address), status)
        request = plain(request_id)
        if status < FAILED or (caller.is_known and status not in REFUSED):
            log.info(LINE, *words, extra=told(request=request))
            return
        self._untold += 1
        if self._clock() - self._told_at >= REFUSALS_EVERY_S:
            log.warning(LINE, *words, extra=told(request=request, refused_since_the_last=self._untold))
            self._told_at, self._untold = self._clock(), 0
