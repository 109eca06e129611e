"""The files inside an uploaded zip, read one by one and never written to disk by their names."""

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.errors import UnreadableArchive
from service.evaluation.samples.limits import Budget, Entry, EntryDamaged, Limits, is_clutter, pieces

DIRECTORY_BYTES_AN_ENTRY = 128  # in the central directory: 46 bytes, a name, some extra fields
LONGEST_COMMENT_BYTES = 1 << 17
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile does not bound what a piece of the others unpacks to
ENCRYPTED = 0x1
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


@contextmanager
def opened_zip(path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
    """An open zip file. Raises UnreadableArchive where its directory is damaged or too long."""
    most = max(limits.entries * DIRECTORY_BYTES_AN_ENTRY, LONGEST_COMMENT_BYTES)
    with _BoundedFile(path, most) as file:
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise UnreadableArchive(f"The zip file is damaged: {error}.") from error
        with archive:
            yield archive


def members_of(archive: zipfile.ZipFile, budget: Budget) -> list[zipfile.ZipInfo]:
    """The files that count, in the archive's order. Raises UnreadableArchive where there are too many entries."""
    members = []
    for member in archive.infolist():
        budget.count_entry()
        if not member.is_dir() and not is_clutter(member.filename):
            members.append(member)
    return members


@contextmanager
def opened_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """One file as a stream. Raises EntryDamaged where it cannot be read, also while the caller reads it."""
    if member.flag_bits & ENCRYPTED:
        raise EntryDamaged("it is encrypted.")
    if member.compress_type not in METHODS:
        raise EntryDamaged("it is compressed by another method than deflate.")
    try:
        with archive.open(member) as stream:
            yield stream
    except DAMAGE as error:
        raise EntryDamaged(f"it is damaged: {error}.") from error


def zip_entries(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], budget: Budget) -> Iterator[Entry]:
    """Every file with its bytes, or with its fault. Raises UnreadableArchive when the budget is spent."""
    for member in members:
        try:
            yield Entry(member.filename, _read(archive, member, budget))
        except EntryDamaged as fault:
            yield Entry(member.filename, fault=str(fault))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: Budget) -> bytes:
    if member.file_size > budget.limits.entry_bytes:  # zipfile never unpacks more than this
        raise EntryDamaged(f"it is larger than {budget.limits.entry_bytes:,} bytes.")
    with opened_member(archive, member) as stream:
        return b"".join(pieces(stream, budget))


class _BoundedFile(io.FileIO):
    """A file of which no more than so many bytes are read at once, whatever the zip's headers say."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path)
        self._most = most
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = size if size is not None and size >= 0 else self._size - self.tell()
        if min(wanted, self._size) > self._most:
            raise UnreadableArchive(f"The zip file's directory is longer than {self._most:,} bytes.")
        return super().read(wanted)
