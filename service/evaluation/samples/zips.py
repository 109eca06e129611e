"""The files inside an uploaded zip, read one by one and never written to disk by their names.

A zip is read from its directory, which lies at the end: what lies before or between the files that it names, or behind
it, would not be seen. Such a file is refused.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zlib import crc32

from service.errors import UnreadableArchive
from service.evaluation.samples.limits import Budget, Entry, EntryDamaged, Limits, is_clutter, pieces

DIRECTORY_BYTES_AN_ENTRY = 128  # in the central directory: 46 bytes, a name, some extra fields
LONGEST_COMMENT_BYTES = 1 << 17
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile does not bound what a piece of the others unpacks to
ENCRYPTED, DESCRIBED_BEHIND, NAMED_IN_UTF_8 = 0x1, 0x8, 0x800
USUAL = DESCRIBED_BEHIND | NAMED_IN_UTF_8
SMALL_BYTES = 1 << 20
"""Files of at most so many bytes are read at once."""
SLACK_BYTES = 64
"""By which a file's own header may be longer than its entry of the directory lets expect."""
RAW_DEFLATE = -15
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
    header = os.pread(file.fileno(), LOCAL_HEADER_BYTES, member.header_offset)
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
    if (found := _at_once(archive, member)) is not None:
        budget.spend(len(found))
        return found
    with opened_member(archive, member) as stream:
        return b"".join(pieces(stream, budget))


def _at_once(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    """A small file of which nothing is amiss; None for any other, which zipfile reads, or says why it does not.

    That takes zipfile several times as long, which 10,000 small images add up to a third of what they take to read.
    """
    usual = not member.flag_bits & ~USUAL and member.compress_type in METHODS and member.orig_filename.isascii()
    if not usual or not 0 < member.file_size <= SMALL_BYTES or member.compress_size > SMALL_BYTES:
        return None
    packed = _packed(archive, member)
    found = packed if member.compress_type == zipfile.ZIP_STORED else _inflated(packed, member.file_size)
    return found if len(found) == member.file_size and crc32(found) == member.CRC else None


def _packed(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a file as they lie; fewer where its own header is not as the directory says."""
    assert archive.fp is not None, "the archive is open"
    file, name = archive.fp.fileno(), member.orig_filename.encode("ascii")
    head = LOCAL_HEADER_BYTES + len(name)
    start = os.pread(file, head + len(member.extra) + SLACK_BYTES + member.compress_size, member.header_offset)
    if len(start) < head or not start.startswith(LOCAL_MARK) or start[LOCAL_HEADER_BYTES:head] != name:
        return b""
    name_bytes, extra_bytes = _local_lengths(start[:LOCAL_HEADER_BYTES])
    if name_bytes != len(name):
        return b""
    at = head + int(extra_bytes)
    found = start[at : at + member.compress_size]
    if len(found) < member.compress_size:  # its header is longer than was thought, or the file ends
        found = os.pread(file, member.compress_size, member.header_offset + at)
    return found if len(found) == member.compress_size else b""


def _inflated(packed: bytes, size: int) -> bytes:
    """What deflated bytes unpack to, if that is no more than `size` and there is nothing behind it; else nothing."""
    unpacker = zlib.decompressobj(RAW_DEFLATE)
    try:
        found = unpacker.decompress(packed, size + 1)
    except zlib.error:
        return b""
    return found if unpacker.eof and not unpacker.unused_data else b""


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
