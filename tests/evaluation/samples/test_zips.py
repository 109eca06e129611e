"""Small files of a zip are read at once where nothing is amiss, and by zipfile's own means where something is."""

import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.packing import LIMITS, digits, pngs, zipped

from service.evaluation.samples.limits import Budget, Entry
from service.evaluation.samples.zips import members_of, opened_zip, zip_entries

FILES = pngs(digits(3, size=40))
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LOCAL_NAME = 30
"""Where a file's name begins in its own header."""


def entries_of(path: Path) -> list[Entry]:
    limits = replace(LIMITS, entries=10_000)
    budget = Budget(limits)
    with opened_zip(path, limits) as archive:
        return list(zip_entries(archive, members_of(archive, budget), budget))


def damaged(path: Path, change: Callable[[bytearray], None]) -> str:
    """Why the first of the files cannot be read once its bytes were changed; the others can."""
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    first, *others = entries_of(path)
    assert [(entry.name, entry.data) for entry in others] == FILES[1:]
    return first.fault


@pytest.mark.parametrize("method", METHODS)
def test_files_are_read_as_zipfile_reads_them(tmp_path: Path, method: int) -> None:
    files = [*FILES, ("empty.png", b""), ("größe.png", FILES[0][1]), ("large.png", bytes(3 << 20))]
    path = zipped(tmp_path / "a", files, method=method)
    assert [(entry.name, entry.data, entry.fault) for entry in entries_of(path)] == [(*file, "") for file in files]


def test_a_header_of_its_own_that_is_longer_than_the_directory_lets_expect_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(path := tmp_path / "a", "w") as archive:
        for name, data in FILES:
            member = zipfile.ZipInfo(name)
            member.extra = struct.pack("<HH", 0xCAFE, 500) + bytes(500)
            archive.writestr(member, data)
            member.extra = b""  # the directory, which is written last, says nothing of it
    assert [(entry.name, entry.data) for entry in entries_of(path)] == FILES


@pytest.mark.parametrize("method", METHODS)
def test_what_was_damaged_is_said_and_the_others_are_read(tmp_path: Path, method: int) -> None:
    def packed() -> Path:
        return zipped(tmp_path / "a", FILES, method=method)

    def flip_a_byte_in_the_middle(content: bytearray) -> None:
        content[LOCAL_NAME + len(FILES[0][0]) + len(FILES[0][1]) // 2] ^= 0xFF

    def call_it_another_name(content: bytearray) -> None:
        content[LOCAL_NAME : LOCAL_NAME + 3] = b"999"

    assert damaged(packed(), flip_a_byte_in_the_middle).startswith("it is damaged: ")
    assert "differ" in damaged(packed(), call_it_another_name)


@pytest.mark.parametrize("method", METHODS)
def test_a_file_that_holds_more_than_its_directory_says_is_damaged(tmp_path: Path, method: int) -> None:
    def declare_less(content: bytearray) -> None:
        at = content.index(b"PK\x01\x02") + 24
        content[at : at + 4] = struct.pack("<I", len(FILES[0][1]) - 1)

    assert damaged(zipped(tmp_path / "a", FILES, method=method), declare_less).startswith("it is damaged: Bad CRC-32")
