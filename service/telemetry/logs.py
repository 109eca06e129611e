"""Log lines: one a line on standard error, with the process's role, as text or as JSON.

What belongs to a line beside its sentence is given as `extra=told(...)`; text has it behind the sentence, JSON beside.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from service.addresses import without_secrets

QUIET_S = 60.0
FIELDS = "fields"
APART = frozenset(' "=\\')
"""Characters that stand between values, or around them."""
ESCAPED = str.maketrans({'"': '\\"', "\\": "\\\\"})
LONGEST = 200
"""Characters of what a caller wrote that a line holds at most."""


def told(**fields: object) -> dict[str, Mapping[str, object]]:
    """What belongs to a line beside its sentence; what is None is left out."""
    return {FIELDS: {name: value for name, value in fields.items() if value is not None}}


def plain(text: str) -> str:
    """What a caller wrote, on one line and in printable characters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:LONGEST])


class Discreet(logging.Formatter):
    """Lines, and what is written below them of an error, without the passwords that stand in addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The sentence, and what belongs to it."""
        fields: Mapping[str, object] = getattr(record, FIELDS, {})
        return " ".join([super().formatMessage(record), *(f"{name}={_worded(fields[name])}" for name in fields)])


class AsJson(Discreet):
    """The same as one object of JSON a line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The sentence alone; `format` puts the rest beside it."""
        return record.message

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": record.process,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info))
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # the name of a file that is not UTF-8
            return json.dumps(line, default=str)


def _worded(value: object) -> str:
    """A value as text has it: in quotes where it could be taken for more than one."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if text and APART.isdisjoint(text) else f'"{text.translate(ESCAPED)}"'


def configure_logging(role: str, level: str, form: str = "text") -> None:
    """Send this process's log lines to standard error, marked with its role, as `text` or as `json`."""
    handler = logging.StreamHandler(sys.stderr)
    words = f"%(asctime)s %(levelname)-7s {role}[%(process)d] %(message)s"
    handler.setFormatter(AsJson(role) if form == "json" else Discreet(words, "%Y-%m-%dT%H:%M:%S"))
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


class Allowance:
    """How many lines of one kind may be written: some at once, then so many a second, so that nobody fills the log."""

    def __init__(self, at_once: float, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._a_second, self._clock = at_once, a_second, clock
        self._left, self._looked = at_once, clock()
        self._kept_back = 0

    def take(self) -> int | None:
        """None where this line is one too many; else how many were kept back since the last that was not."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._looked) * self._a_second)
        self._looked = now
        if self._left < 1:
            self._kept_back += 1
            return None
        self._left -= 1
        kept_back, self._kept_back = self._kept_back, 0
        return kept_back
