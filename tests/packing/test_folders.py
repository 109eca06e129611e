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
