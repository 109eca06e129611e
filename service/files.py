"""Files written whole, then shown: a reader sees the old one or the new one, never half of it."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

STAGED = ".staged"
"""How names of files end that are still being written."""
STALE_S = 3600.0
"""What is this old and belongs to nothing was left by a process that died."""


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of `path` once the block ends; where it fails nothing of it is left.

    Raises OSError, as a disk does that is full.
    """
    staged = staged_beside(path)
    try:
        with staged.open("wb") as file:
            yield file
        show(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of these bytes, whole or not at all. Raises OSError."""
    with written_whole(path) as file:
        file.write(data)


def staged_beside(path: Path) -> Path:
    """A new name in the folder of `path` that no reader looks at, for what will take its place."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{STAGED}")


def show(staged: Path, path: Path) -> None:
    """Let a file or folder that is whole take the place of `path`, so that both its content and its name last.

    Raises OSError.
    """
    if staged.is_file():
        _flush(staged)
    staged.replace(path)
    _flush(path.parent)


def sweep_staged(folder: Path) -> None:
    """Delete what processes that died were writing in a folder, once it is old enough to be nobody's."""
    for staged in folder.glob(f".*{STAGED}"):
        try:
            if is_stale(staged):
                staged.unlink()
        except FileNotFoundError:
            continue  # it has just been shown


def is_stale(path: Path) -> bool:
    """Whether nobody has written here for so long that nobody will. Raises FileNotFoundError."""
    return time.time() - path.stat().st_mtime > STALE_S


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
