"""Files written whole, then shown: a reader sees the old one or the new one, never half of it."""

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

STAGED = ".staged"
"""How names of files end that are still being written."""
STALE_S = 3600.0
"""Files and folders that nobody has written to for so long, and that nobody wants, were left by a process that died."""

NO_FLUSHING = (errno.EINVAL, errno.ENOTSUP)
"""The answers of file systems that flush nothing on request; some on a network do not flush folders."""


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


def write_private(path: Path, data: bytes) -> None:
    """Write a file of these bytes, whole or not at all, that nobody but this user can read. Raises OSError."""
    staged = staged_beside(path)
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        show(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def write_first(path: Path, data: bytes) -> None:
    """Write a file of these bytes, whole, unless somebody else has written it first. Raises OSError."""
    staged = staged_beside(path)
    try:
        staged.write_bytes(data)
        _flush(staged)
        with suppress(FileExistsError):
            os.link(staged, path)
        _flush(path.parent)
    finally:
        staged.unlink(missing_ok=True)


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file's content, whole or not at all. Raises OSError."""
    with source.open("rb") as content, written_whole(path) as file:
        shutil.copyfileobj(content, file)


def stage(path: Path, data: bytes) -> Callable[[], Path]:
    """Write a file of these bytes beside `path`, and return what puts it there at once.

    Calling that again does no harm. Both raise OSError.
    """
    staged = staged_beside(path)
    try:
        staged.write_bytes(data)
        _flush(staged)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise

    shown = False

    def publish() -> Path:
        nonlocal shown
        try:
            if not shown:
                show(staged, path)
                shown = True
        finally:
            staged.unlink(missing_ok=True)
        return path

    return publish


def staged_beside(path: Path) -> Path:
    """A new name in the folder of `path` that no reader looks at, for what will take its place.

    What processes that died were writing there under such a name is deleted.
    """
    remove_stale(path.parent.glob(f".{escape(path.name)}.*{STAGED}"))
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{STAGED}")


def show(staged: Path, path: Path) -> None:
    """Let a file or folder that is whole take the place of `path`, so that both its content and its name last.

    Raises OSError.
    """
    for inside in staged.rglob("*") if staged.is_dir() else ():
        _flush(inside)
    _flush(staged)
    staged.replace(path)
    _flush(path.parent)


def sweep_staged(folder: Path) -> None:
    """Delete what processes that died were writing in a folder."""
    remove_stale(folder.glob(f".*{STAGED}"))


def remove_stale(paths: Iterable[Path]) -> None:
    """Delete those of the files and folders that are stale."""
    for path in paths:
        with suppress(FileNotFoundError):  # somebody else has deleted it, or it has just been shown
            if not is_stale(path):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def is_stale(path: Path) -> bool:
    """Whether nobody has written to a file, or anywhere in a folder, for so long that nobody will.

    Raises FileNotFoundError.
    """
    everything = [path, *path.rglob("*")] if path.is_dir() else [path]
    return time.time() - max(written.stat().st_mtime for written in everything) > STALE_S


def files_below(folder: Path) -> Iterator[Path]:
    """Every file of a folder and of those inside it."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def bytes_of(files: Iterable[Path]) -> int:
    """What files take; those that go while they are counted take nothing."""
    size = 0
    for file in files:
        with suppress(OSError):
            size += file.lstat().st_size
    return size


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk, where its file system can be asked to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FLUSHING:
            raise
    finally:
        os.close(descriptor)
