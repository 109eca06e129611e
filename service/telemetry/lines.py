"""Of which requests and submissions a process writes lines, how many, and what a line says of time and of an error."""

import re

from service.errors import InvalidSamples, ServiceError, UnreadableArchive, UnreadableImage
from service.settings import Settings
from service.telemetry.advice import advice_on
from service.telemetry.logs import Allowance, plain

AT_ONCE, A_SECOND = 50.0, 10.0
OF_FILES = (InvalidSamples, UnreadableArchive, UnreadableImage)
"""Errors that tell a caller which of the files that it sent is meant."""
QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|['"].*$)""", re.DOTALL)
"""A name as errors write it; one that is cut short goes on to the end."""


class Lines:
    """Which lines the settings want: of all, or of what failed or was slow, and then no more than an allowance."""

    def __init__(self, settings: Settings) -> None:
        self.every = settings.log_requests == "all"
        self.slow_s = settings.slow_request_s or float("inf")
        self.allowance = Allowance(AT_ONCE, A_SECOND)

    def take(self) -> int | None:
        """None where this line is one too many; else how many were kept back since the last that was not."""
        return 0 if self.every else self.allowance.take()


def told_of(error: ServiceError | None) -> dict[str, str | None]:
    """What a line says of an error: its sentence without the names of a caller's files, and what an operator can do."""
    if error is None:
        return {}
    detail = QUOTED.sub("'…'", error.detail) if isinstance(error, OF_FILES) else error.detail
    return {"error": plain(f"{type(error).__name__}: {detail}"), "advice": advice_on(error)}


def milliseconds(seconds: float) -> float:
    """As lines say them."""
    return round(1000 * max(0.0, seconds), 1)
