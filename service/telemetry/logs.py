"""Log lines: one a line on standard error, with the process's role."""

import logging
import sys

from service.addresses import without_secrets


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
