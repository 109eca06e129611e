"""A reader sees the old file or the new one, a crash loses neither, and what the dead left goes."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from disk import Disk

from service.files import STAGED, STALE_S, file_sha256, show, staged_beside, sweep_staged, write_whole, written_whole


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path / "file")
    monkeypatch.setattr("os.fsync", disk.fsync)
    return disk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_on_the_disk_before_its_name_is_and_its_name_before_anything_else(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert disk.files == [(b"new", b"old")]
    assert disk.folders == [(tmp_path, b"new")]


def test_a_folder_takes_its_place_at_once_and_its_name_reaches_the_disk(tmp_path: Path, disk: Disk) -> None:
    place = tmp_path / "place"
    staged = staged_beside(place)
    staged.mkdir()
    (staged / "inside").write_bytes(b"whole")
    show(staged, place)
    assert (place / "inside").read_bytes() == b"whole"
    assert [folder for folder, _ in disk.folders] == [tmp_path]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"data")
    descriptors = Path("/proc/self/fd")
    opened = [os.path.realpath(descriptor) for descriptor in descriptors.iterdir()]
    assert [path for path in opened if path.startswith(str(tmp_path))] == []


def test_while_a_file_is_written_readers_see_the_old_one_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with written_whole(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        [staged] = set(names(tmp_path)) - {"file"}
        assert staged.startswith(".")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_writing_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space"):
        write_until_the_disk_is_full(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def write_until_the_disk_is_full(path: Path) -> None:
    with written_whole(path) as file:
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_two_who_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written_whole(path) as first:
        first.write(b"first")
        with written_whole(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"


def test_only_what_is_staged_and_old_is_swept(tmp_path: Path) -> None:
    ages = {
        f".dead{STAGED}": STALE_S + 60,
        f".alive{STAGED}": STALE_S - 60,
        f"shown{STAGED}": STALE_S + 60,
        "file": STALE_S + 60,
    }
    for name, age in ages.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    sweep_staged(tmp_path)
    assert set(names(tmp_path)) == ages.keys() - {f".dead{STAGED}"}


def test_sweeping_goes_on_past_what_has_just_been_shown(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f".gone{number}{STAGED}").symlink_to(tmp_path / "absent")
        (tmp_path / f".dead{number}{STAGED}").touch()
        os.utime(tmp_path / f".dead{number}{STAGED}", (0, 0))
    sweep_staged(tmp_path)
    assert [name for name in names(tmp_path) if name.startswith(".dead")] == []
    sweep_staged(tmp_path / "absent")


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 5000)
    assert file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
