"""Tars as other programs write them: nothing of one member is taken for the next one's."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from evaluation.packing import LIMITS, digits, pngs

from service.errors import UnreadableArchive
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape

Open = Callable[..., Samples]
Layout = Literal[1, 2]
LONG = "long" * 40


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    working_dir = tmp_path / "work"
    working_dir.mkdir()

    def open_upload(*members: bytes, skip_unreadable: bool = False) -> Samples:
        upload = tmp_path / "upload"
        upload.write_bytes(b"".join(members) + bytes(tarfile.RECORDSIZE))
        return open_samples(
            upload,
            working_dir=working_dir,
            shape=ImageShape((12, 12), 1),
            limits=LIMITS,
            skip_unreadable=skip_unreadable,
        )

    return open_upload


def member(
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    size: int | None = None,
    linkname: str = "",
    layout: Layout = tarfile.PAX_FORMAT,
) -> bytes:
    """A header, of this size where it is not its data's, and the data in whole blocks."""
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, linkname
    header.size = len(data) if size is None else size
    return header.tobuf(layout) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def extended(**records: str) -> bytes:
    """An extended header of these records, which are about the member after it."""
    lines = []
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 2
        lines.append(str(length + (length >= 100) - (length < 10)).encode() + rest)
    return member("x", b"".join(lines), kind=tarfile.XHDTYPE)


(_, FIRST), (_, SECOND) = pngs(digits(2))


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_long_name_is_one_members_and_not_the_next_ones(layout: Layout, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=r"^'short\.png'"):
        opened(member(LONG, FIRST, layout=layout), member("short.png", b"no", layout=layout))
    clutter = member(f".hidden/{LONG}", b"no", layout=layout)
    assert opened(clutter, member("a.png", FIRST, layout=layout)).count == 1


def test_an_extended_header_without_a_name_leaves_the_one_before_it(opened: Open) -> None:
    longer = member(LONG, b"no", layout=tarfile.GNU_FORMAT)
    about, rest = longer[: -2 * tarfile.BLOCKSIZE], longer[-2 * tarfile.BLOCKSIZE :]
    with pytest.raises(UnreadableArchive, match=r"^'(long)+…(long)+'|^'(long)+…"):
        opened(about, extended(mtime="1"), rest)


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK])
def test_what_is_said_of_the_archive_or_of_a_link_is_no_file(kind: bytes, opened: Open) -> None:
    said = member("said", b"12 a=b\n", kind=kind)
    assert opened(said, member("a.png", FIRST), said, member("b.png", SECOND)).count == 2


def test_a_sparse_file_is_not_taken_for_its_pieces(opened: Open) -> None:
    sparse = member("sparse.png", FIRST, kind=tarfile.GNUTYPE_SPARSE)
    with pytest.raises(UnreadableArchive, match=r"'sparse\.png': it is a link, a device or a sparse file"):
        opened(sparse, member("a.png", SECOND))
    assert opened(sparse, member("a.png", SECOND), skip_unreadable=True).count == 1


@pytest.mark.parametrize("record", [{"GNU.sparse.major": "1"}, {"GNU.sparse.size": "9"}, {"size": "9"}], ids=str)
def test_a_size_or_holes_in_an_extended_header_are_refused(record: dict[str, str], opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match="over 8 GiB and sparse files are not read"):
        opened(extended(path="a.png", **record), member("x", FIRST))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_a_link_that_gives_its_targets_size_brings_no_bytes_of_its_own(kind: bytes, opened: Open) -> None:
    link = member("link.png", kind=kind, size=5000, linkname="a.png")
    samples = opened(member("a.png", FIRST), link, member("b.png", SECOND), skip_unreadable=True)
    assert samples.count == 2
    assert samples.warnings[0].startswith("1 of 3 files could not be read and was skipped: 'link.png': it is a link")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, b"?"])
def test_the_bytes_of_a_member_that_is_no_file_are_passed_over(kind: bytes, opened: Open) -> None:
    odd = member("odd", b"n" * 700, kind=kind)
    assert opened(odd, member("a.png", FIRST), skip_unreadable=True).count == 1


def test_a_negative_size_is_damage(opened: Open) -> None:
    header = bytearray(member("a.png", size=0))
    header[124:136] = tarfile.itn(-512, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with pytest.raises(UnreadableArchive, match="a header gives a negative size"):
        opened(bytes(header), member("b.png", FIRST))
