"""Log lines: one a line on standard error, with the process's role."""

import logging
import sys


def configure_logging(role: str, level: str) -> None:
    """Send this process's log lines to standard error, marked with its role."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {role}[%(process)d] %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
