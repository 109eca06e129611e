"""The files inside an uploaded tar or tar.gz, read as one stream.

tarfile reads headers of any length in one piece, takes a damaged header for the end of the archive and looks at nothing
behind that end, which would measure fewer samples than were sent. Here damage is an error, archives that were joined
are read one after the other, and a stream is read to its last byte, so that gzip's checksum counts.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from service.errors import UnreadableArchive
from service.evaluation.samples.limits import Budget, Entry, Stream, is_clutter, pieces

BLOCK_BYTES = 512
LONGEST_NAME_BYTES = 1 << 16
NAMES = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)
PASSED_OVER = (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)
DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError)


def is_tar(start: bytes) -> bool:
    """Whether a file that begins like this, with at least a block, is a tar."""
    try:
        tarfile.TarInfo.frombuf(start[:BLOCK_BYTES], "utf-8", "surrogateescape")
    except DAMAGE:
        return False
    return True


def tar_entries(path: Path, budget: Budget, *, gzipped: bool) -> Iterator[Entry]:
    """Every file with its bytes or its fault. Raises UnreadableArchive where the archive is damaged."""
    with path.open("rb") as file:
        try:
            yield from _entries(gzip.GzipFile(fileobj=file) if gzipped else file, budget)
        except DAMAGE as error:
            raise UnreadableArchive(f"The tar file is damaged or cut short: {error}.") from error


def _entries(stream: Stream, budget: Budget) -> Iterator[Entry]:
    long_name = ""
    for header in _headers(stream, budget):
        if header.type in NAMES:
            long_name = _long_name(header, _payload(stream, header, budget, LONGEST_NAME_BYTES)) or long_name
            continue
        if header.type not in PASSED_OVER:
            budget.count_entry()
            name, long_name = long_name or header.name, ""
            if not header.isdir():
                yield _entry(stream, name, header, budget)
                continue
        _pass_over(stream, header, budget)


def _headers(stream: Stream, budget: Budget) -> Iterator[tarfile.TarInfo]:
    """The headers up to the stream's end; whoever takes one has read what belongs to it before the next is read."""
    ended = False
    while block := b"".join(pieces(stream, budget, BLOCK_BYTES, may_end=True)):
        if ended := not any(block):
            continue  # the end of an archive, behind which another one may have been joined
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise ValueError("a header gives a negative size")
        yield header
    if not ended:
        raise EOFError("its end mark is missing")


def _entry(stream: Stream, name: str, header: tarfile.TarInfo, budget: Budget) -> Entry:
    if is_clutter(name):
        _pass_over(stream, header, budget)
        return Entry(name, hidden=True)
    if header.type not in tarfile.REGULAR_TYPES or header.type == tarfile.GNUTYPE_SPARSE:
        _pass_over(stream, header, budget)
        return Entry(name, fault="it is a link, a device or a sparse file.")
    if header.size > budget.limits.entry_bytes:
        _pass_over(stream, header, budget)
        return Entry(name, fault=f"it is larger than {budget.limits.entry_bytes:,} bytes.")
    return Entry(name, _payload(stream, header, budget, budget.limits.entry_bytes))


def _payload(stream: Stream, header: tarfile.TarInfo, budget: Budget, most: int) -> bytes:
    if header.size > most:
        raise ValueError(f"a header is longer than {most:,} bytes")
    return _exactly(stream, _padded(header.size), budget)[: header.size]


def _pass_over(stream: Stream, header: tarfile.TarInfo, budget: Budget) -> None:
    for _ in pieces(stream, budget, 0 if header.islnk() or header.issym() else _padded(header.size)):
        pass


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _exactly(stream: Stream, size: int, budget: Budget) -> bytes:
    return b"".join(pieces(stream, budget, size))


def _long_name(header: tarfile.TarInfo, payload: bytes) -> str:
    if header.type == tarfile.GNUTYPE_LONGNAME:
        return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
    name, start = "", 0
    while start < len(payload):
        digits, space, _ = payload[start : start + 8].partition(b" ")
        end = start + int(digits)
        if not space or not start + len(digits) < end <= len(payload):
            raise ValueError("an extended header is damaged")
        key, _, value = payload[start + len(digits) + 1 : end].rstrip(b"\n").partition(b"=")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise ValueError("files over 8 GiB and sparse files are not read")
        name = value.decode("utf-8", "surrogateescape") if key == b"path" else name
        start = end
    return name
