"""The files inside an uploaded zip, read one by one and never written to disk by their names.

A zip is read from its directory, which lies at the end: what lies before or between the files that it names, or behind
it, would not be seen. Such a file is refused.
"""

import io
import struct
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
ENCRYPTED, DESCRIBED_BEHIND = 0x1, 0x8
LONGEST_DESCRIPTOR_BYTES = 24  # checksum and sizes that were not known when the file's header was written
LOCAL_HEADER_BYTES, LOCAL_MARK = 30, b"PK\x03\x04"
END_BYTES, END_MARK = 22, b"PK\x05\x06"
LONGEST_STATED_COMMENT_BYTES = 0xFFFF
_local_lengths = struct.Struct("<26xHH").unpack
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)


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
            _check_nothing_is_hidden(archive, file)
            yield archive


def _check_nothing_is_hidden(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    """Raise UnreadableArchive unless every byte before the directory belongs to a file, and none lies behind it."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    at = slack = 0
    for member in members:
        if not at <= member.header_offset <= at + slack:
            break
        at = member.header_offset + _length_at(file, member)
        slack = LONGEST_DESCRIPTOR_BYTES if member.flag_bits & DESCRIBED_BEHIND else 0
    else:
        if at <= archive.start_dir <= at + slack:
            _check_nothing_follows(archive, file)
            return
    raise UnreadableArchive(
        f"The zip file holds bytes, from the {at:,}th on, that no file of its directory takes: two zips were joined, or"
        " one was changed in place. Zip the files anew."
    )


def _length_at(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Bytes that a file takes with its header. Raises UnreadableArchive."""
    file.seek(member.header_offset)
    header = file.read(LOCAL_HEADER_BYTES)
    if len(header) < LOCAL_HEADER_BYTES or not header.startswith(LOCAL_MARK):
        raise UnreadableArchive("The zip file is damaged: its directory names a place where no file begins.")
    name_bytes, extra_bytes = _local_lengths(header)
    return LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes) + member.compress_size


def _check_nothing_follows(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - END_BYTES - LONGEST_STATED_COMMENT_BYTES))
    end = start + file.read().rfind(END_MARK) + END_BYTES + len(archive.comment)
    if end != size:
        raise UnreadableArchive(
            f"The zip file holds {size - end:,} bytes behind its end; they belong to no file of it."
        )


def members_of(archive: zipfile.ZipFile, budget: Budget) -> list[zipfile.ZipInfo]:
    """The files, in the archive's order. Raises UnreadableArchive where there are too many entries."""
    members = []
    for member in archive.infolist():
        budget.count_entry()
        if not member.filename.endswith("/"):  # a name may be empty
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
        if is_clutter(member.filename):
            yield Entry(member.filename, hidden=True)
            continue
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
