"""Log lines: one a line on standard error, with the process's role."""

import logging
import sys
import time
from collections.abc import Callable

from service.addresses import without_secrets

QUIET_S = 60.0


class Discreet(logging.Formatter):
    """Lines, and what is written below them of an error, without the passwords that stand in addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return without_secrets(super().format(record))


def configure_logging(role: str, level: str) -> None:
    """Send this process's log lines to standard error, marked with its role."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet(f"%(asctime)s %(levelname)-7s {role}[%(process)d] %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class NowAndThen(logging.Filter):
    """Lets a line of one kind through once a minute, with the number of those that it kept back; failures always."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._spoke: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written."""
        kind = str(record.msg)
        if record.exc_info:
            return True
        now = self._clock()
        if now - self._spoke.get(kind, -QUIET_S) < QUIET_S:
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return False
        self._spoke[kind] = now
        if more := self._kept_back.pop(kind, 0):
            record.msg = f"{kind} (and {more} times more since this was last said)"
        return True


def quieten(*loggers: str) -> None:
    """Have these loggers repeat themselves once a minute at most, whatever clients do."""
    for name in loggers:
        logging.getLogger(name).addFilter(NowAndThen())
