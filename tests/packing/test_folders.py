import os
import zipfile
from pathlib import Path

import pytest

from service.errors import InvalidRequest
from service.packing.folders import as_file


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    path.write_bytes(b"anything")
    assert as_file(path, tmp_path / "never.zip") == path


def test_a_directory_becomes_one_sorted_uncompressed_zip_without_hidden_files(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name in ("b.png", "deep/er/a.png", "a.png", ".DS_Store", ".cache/c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    first, second = (as_file(folder, tmp_path / name) for name in ("first.zip", "second.zip"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        members = archive.infolist()
        assert [member.filename for member in members] == ["a.png", "b.png", "deep/er/a.png"]
        assert all(member.compress_type == zipfile.ZIP_STORED for member in members)
        assert archive.read("deep/er/a.png") == b"deep/er/a.png"


def test_nothing_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequest, match="holds no files"):
        as_file(tmp_path / "empty", tmp_path / "empty.zip")
    with pytest.raises(InvalidRequest, match="does not exist"):
        as_file(tmp_path / "nowhere", tmp_path / "nowhere.zip")


def files_of(folder: Path, target: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(as_file(folder, target)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    classes = tmp_path / "classes" / "sevens"
    classes.mkdir(parents=True)
    (classes / "a.png").write_bytes(b"seven")
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "7").symlink_to(classes)
    (folder / "seven.png").symlink_to(classes / "a.png")
    assert files_of(folder, tmp_path / "a.zip") == {"7/a.png": b"seven", "seven.png": b"seven"}


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    with pytest.raises(InvalidRequest, match=r"gone\.png is a link that leads nowhere"):
        as_file(folder, tmp_path / "a.zip")


def test_a_link_to_where_it_lies_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "again").symlink_to(folder)
    with pytest.raises(InvalidRequest, match="again is a link to a folder that it lies in"):
        as_file(folder, tmp_path / "a.zip")


def test_a_name_that_is_no_utf_8_is_sent_with_its_bytes_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    assert files_of(folder, tmp_path / "a.zip") == {"\\xff.png": b"x"}
