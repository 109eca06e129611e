"""What people write, or name to be read whole: what is too large or nested too deep is refused in words."""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

MOST = 16 * 1024 * 1024
"""Bytes of a description, a list of names or the like."""
DEEP = "it is nested too deep"


def read_whole(path: Path, most: int = MOST) -> bytes:
    """All of a file, but nothing of one that has more bytes than that. Raises OSError, ValueError."""
    with path.open("rb") as file:
        told = os.fstat(file.fileno())
        if told.st_size <= most:  # as that of a pipe or a device always is
            data = file.read(-1 if stat.S_ISREG(told.st_mode) else most + 1)
            if len(data) <= most:
                return data
    raise ValueError(f"it has more than {most:,} bytes, the most that are read")


def read_text(path: Path) -> str:
    """A file's text. Raises OSError and ValueError."""
    return read_whole(path).decode("utf-8-sig")


def of_json(text: str) -> Any:
    """What a document in JSON says. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(DEEP) from error


def of_toml(text: str) -> dict[str, Any]:
    """What a document in TOML says. Raises ValueError."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(DEEP) from error
