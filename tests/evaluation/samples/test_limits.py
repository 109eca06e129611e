"""Limits hold against files that lie about themselves."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.packing import LIMITS, digits, npz, pngs, tarred, zipped

from service.errors import UnreadableArchive
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits, is_clutter, short
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape

Open = Callable[..., Samples]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    working_dir = tmp_path / "work"
    working_dir.mkdir()

    def open_upload(path: Path, limits: Limits = LIMITS, *, skip_unreadable: bool = False) -> Samples:
        return open_samples(
            path,
            working_dir=working_dir,
            shape=ImageShape((12, 12), 1),
            limits=limits,
            skip_unreadable=skip_unreadable,
        )

    return open_upload


def refused_within(opened: Open, upload: Path, sentence: str, *, limit_bytes: int = 24 << 20) -> None:
    """The upload is refused with this sentence, and little memory was taken to find out."""
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableArchive, match=sentence):
            opened(upload)
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_while_it_unpacks(tmp_path: Path, opened: Open) -> None:
    bomb = zipped(tmp_path / "a", [(f"{place}.png", bytes(3 << 20)) for place in range(40)])
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(UnreadableArchive, match="unpacks to more than"):
        opened(bomb, skip_unreadable=True)


def test_a_tar_bomb_is_refused_while_it_unpacks(tmp_path: Path, opened: Open) -> None:
    bomb = tarred(tmp_path / "a", [(f"{place}.png", bytes(3 << 20)) for place in range(40)], gzipped=True)
    with pytest.raises(UnreadableArchive, match="unpacks to more than"):
        opened(bomb, skip_unreadable=True)


def test_a_zip_that_declares_less_than_it_holds_is_damaged(tmp_path: Path, opened: Open) -> None:
    upload = zipped(tmp_path / "a", [("a.png", bytes(5 << 20))])
    content = bytearray(upload.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 100)
    upload.write_bytes(content)
    refused_within(opened, upload, r"'a\.png': it is damaged: Bad CRC-32")


def test_a_file_larger_than_an_entry_may_be_is_refused_unread(tmp_path: Path, opened: Open) -> None:
    limits = replace(LIMITS, entry_bytes=1 << 20)
    files = [("large.png", bytes(2 << 20)), *pngs(digits(2))]
    for pack in (zipped, tarred):
        upload = pack(tmp_path / pack.__name__, files)
        with pytest.raises(UnreadableArchive, match=r"'large\.png': it is larger than 1,048,576 bytes"):
            opened(upload, limits)
        assert opened(upload, limits, skip_unreadable=True).count == 2


def test_too_many_entries_are_refused(tmp_path: Path, opened: Open) -> None:
    for pack in (zipped, tarred):
        upload = pack(tmp_path / pack.__name__, [(f".{place}", b"") for place in range(501)])
        with pytest.raises(UnreadableArchive, match="more than 500 entries"):
            opened(upload)


def test_a_zip_directory_too_long_to_hold_is_not_read(tmp_path: Path, opened: Open) -> None:
    upload = zipped(tmp_path / "a", [(f"{place:060000}", b"") for place in range(20)])
    refused_within(opened, upload, "directory is longer than", limit_bytes=1 << 20)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_cannot_be_bounded_is_refused(method: int, tmp_path: Path, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=r"'000\.png': it is compressed by another method"):
        opened(zipped(tmp_path / "a", pngs(digits(1)), method=method))


def test_encrypted_files_are_refused(tmp_path: Path, opened: Open) -> None:
    for upload in (zipped(tmp_path / "a", pngs(digits(1))), npz(tmp_path / "b", {"images": digits(2)})):
        content = bytearray(upload.read_bytes())
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
        upload.write_bytes(content)
        with pytest.raises(UnreadableArchive, match="it is encrypted"):
            opened(upload)


def test_an_array_that_declares_more_than_the_limit_takes_no_memory(tmp_path: Path, opened: Open) -> None:
    upload = tmp_path / "a"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000), }\n"
    upload.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    refused_within(opened, upload, "larger than an upload may unpack to", limit_bytes=1 << 20)


def test_an_array_that_declares_more_than_it_holds_takes_no_memory(tmp_path: Path, opened: Open) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8000000,), }\n"
    upload = tmp_path / "a"
    upload.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(10))
    refused_within(opened, upload, "cut short: 7,999,990 bytes are missing", limit_bytes=4 << 20)


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (b"\x02\x00", struct.pack("<I", 2**31) + b"{"),
        (b"\x01\x00", struct.pack("<H", 65535) + b"(" * 65535),
        (b"\x01\x00", struct.pack("<H", 4000) + b"(" * 4000),
        (b"\x01\x00", struct.pack("<H", 9) + b"{'a': 1}\n"),
        (b"\x01\x00", struct.pack("<H", 100) + b"short"),
        (b"\x01\x00", b"\x01"),
        (b"\x03\x00", struct.pack("<I", 9) + b"{'a': 1}\n"),
        (
            b"\x01\x00",
            struct.pack("<H", 64) + b"{'descr': '|u1', 'fortran_order': False, 'shape': (True, 2, 2)}\n" + bytes(4),
        ),
    ],
)
def test_headers_of_arrays_are_short_and_plain(version: bytes, header: bytes, tmp_path: Path, opened: Open) -> None:
    upload = tmp_path / "a"
    upload.write_bytes(b"\x93NUMPY" + version + header)
    refused_within(opened, upload, "no valid npy header", limit_bytes=4 << 20)


@pytest.mark.parametrize("shape", ["(-1, 4, 4)", "(2, -4, -4)", "(0,)"])
def test_shapes_without_samples_are_refused(shape: str, tmp_path: Path, opened: Open) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    upload = tmp_path / "a"
    upload.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    refused_within(opened, upload, "is empty", limit_bytes=1 << 20)


def test_a_compressed_array_that_grows_is_counted(tmp_path: Path, opened: Open) -> None:
    upload = npz(tmp_path / "a", {"features": np.zeros((2 << 20, 2))}, compressed=True)
    with pytest.raises(UnreadableArchive, match="larger than an upload may unpack to"):
        opened(upload)


def test_a_damaged_array_is_named(tmp_path: Path, opened: Open) -> None:
    upload = npz(tmp_path / "a", {"images": digits(20)})
    content = bytearray(upload.read_bytes())
    content[1000] ^= 0xFF
    upload.write_bytes(content)
    with pytest.raises(UnreadableArchive, match="array 'images' cannot be read: it is damaged"):
        opened(upload)


def _header(name: bytes, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_header(b"a.png", 10), "cut short"),
        (_header(b"a.png", 8**12), "68,719,476,736 bytes are missing"),
        (_header(b"l", 1 << 30, tarfile.GNUTYPE_LONGNAME) + bytes(512), "header is longer than"),
        (_header(b"x", 8, tarfile.XHDTYPE) + b"99 a=b\n\n".ljust(512, b"\0"), "extended header is damaged"),
        (_header(b"x", 8, tarfile.XHDTYPE) + b"0 a=bcd\n".ljust(512, b"\0"), "extended header is damaged"),
        (_header(b"x", 9, tarfile.XHDTYPE) + b"9 size=1\n".ljust(512, b"\0"), "over 8 GiB"),
        (_header(b"d/", 0, tarfile.DIRTYPE) + b"garbage".ljust(512, b"!"), "damaged"),
    ],
)
def test_a_damaged_tar_is_refused(content: bytes, sentence: str, tmp_path: Path, opened: Open) -> None:
    upload = tmp_path / "a"
    for packed in (content, gzip.compress(content)):
        upload.write_bytes(packed)
        refused_within(opened, upload, sentence, limit_bytes=4 << 20)


def test_links_and_devices_in_a_tar_are_files_that_cannot_be_read(tmp_path: Path, opened: Open) -> None:
    upload = tmp_path / "a"
    with tarfile.open(upload, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            link = tarfile.TarInfo(f"link{kind.decode()}")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        name, data = pngs(digits(1))[0]
        header = tarfile.TarInfo(name)
        header.size = len(data)
        archive.addfile(header, io.BytesIO(data))
    with pytest.raises(UnreadableArchive, match="'link2': it is a link"):
        opened(upload)
    samples = opened(upload, skip_unreadable=True)
    assert samples.count == 1
    assert samples.warnings[0].startswith("4 of 5 files")


@pytest.mark.parametrize("name", ["__MACOSX/a.png", "a/.b/c.png", ".x", "A/THUMBS.DB", "a\\.svn\\b.png", "Desktop.ini"])
def test_clutter_is_recognised(name: str) -> None:
    assert is_clutter(name)


@pytest.mark.parametrize("name", ["a.png", "./a.png", "../a.png", "a..png", "folder/thumbs.db.png"])
def test_what_only_looks_like_clutter_is_kept(name: str) -> None:
    assert not is_clutter(name)


def test_names_are_printed_on_one_line() -> None:
    assert short("a\nb\udcff") == r"'a\nb\udcff'"
