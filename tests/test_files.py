import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service import files
from service.files import (
    STALE_S,
    bytes_of,
    copy_whole,
    file_sha256,
    files_below,
    is_stale,
    show,
    stage,
    staged_beside,
    sweep_staged,
    write_first,
    write_whole,
    written_whole,
)

Write = Callable[[Path, bytes], object]


def copy(path: Path, data: bytes) -> None:
    source = path.parent.parent / "source"
    source.write_bytes(data)
    copy_whole(source, path)


WRITERS: dict[str, Write] = {
    "write_whole": write_whole,
    "write_first": write_first,
    "copy_whole": copy,
    "stage": lambda path, data: stage(path, data)(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk is told, in order: which file or folder to keep, and which names to change."""
    told: list[str] = []

    def noting(word: str, call: Callable[..., Any], name_of: Callable[..., str]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            told.append(f"{word} {name_of(*arguments)}")
            return call(*arguments)

        return noted

    def kind(path: Path) -> str:
        return "staged" if path.name.endswith(".staged") else path.name

    monkeypatch.setattr(os, "fsync", noting("keep", os.fsync, lambda fd: kind(Path(f"/proc/self/fd/{fd}").readlink())))
    monkeypatch.setattr(os, "replace", noting("show", os.replace, lambda _, target: Path(target).name))
    monkeypatch.setattr(os, "link", noting("show", os.link, lambda _, target: Path(target).name))
    return told


def age(path: Path) -> None:
    old = time.time() - STALE_S - 60
    os.utime(path, (old, old))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    write: Write, folder: Path, disk: list[str]
) -> None:
    write(folder / "card", b"new")
    assert (folder / "card").read_bytes() == b"new"
    assert [*dict.fromkeys(disk)] == ["keep staged", "show card", "keep folder"]
    assert os.listdir(folder) == ["card"]  # noqa: PTH208 - hidden ones, too


def test_a_folder_is_shown_once_every_file_in_it_is_on_the_disk(tmp_path: Path, disk: list[str]) -> None:
    (tmp_path / ".begun" / "inner").mkdir(parents=True)
    (tmp_path / ".begun" / "inner" / "a").write_bytes(b"a")
    (tmp_path / ".begun" / "b").write_bytes(b"b")
    show(tmp_path / ".begun", tmp_path / "whole")
    assert sorted(disk[:4]) == ["keep .begun", "keep a", "keep b", "keep inner"]
    assert disk[4:] == ["show whole", f"keep {tmp_path.name}"]
    assert (tmp_path / "whole" / "inner" / "a").read_bytes() == b"a"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("name", ["write_whole", "copy_whole", "stage"])
def test_a_disk_that_fails_leaves_the_old_file_and_no_other(
    name: str, step: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_whole(folder / "card", b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        WRITERS[name](folder / "card", b"new")
    assert (folder / "card").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["card"]


def test_a_file_system_that_flushes_nothing_is_written_to_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fail)
    write_whole(folder / "card", b"new")
    assert (folder / "card").read_bytes() == b"new"


def test_a_block_that_fails_leaves_the_old_file_and_no_other(folder: Path) -> None:
    write_whole(folder / "card", b"old")

    def interrupted() -> None:
        with written_whole(folder / "card") as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (folder / "card").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["card"]


def test_what_is_being_written_has_a_name_that_nobody_looks_for(folder: Path) -> None:
    with written_whole(folder / "weights.safetensors") as file:
        file.write(b"half")
        assert list(folder.glob("*.safetensors")) == []
        [staged] = folder.iterdir()
        assert staged.name.startswith(".weights.safetensors.")


def test_of_two_that_write_at_once_the_last_stays(folder: Path) -> None:
    with written_whole(folder / "card") as first:
        with written_whole(folder / "card") as second:
            second.write(b"second")
        first.write(b"first")
    assert (folder / "card").read_bytes() == b"first"


def test_what_is_written_first_is_never_replaced(folder: Path) -> None:
    write_first(folder / "home", b"first")
    write_first(folder / "home", b"second")
    assert (folder / "home").read_bytes() == b"first"
    assert [path.name for path in folder.iterdir()] == ["home"]


def test_what_is_staged_is_shown_once_and_to_show_it_again_does_no_harm(folder: Path) -> None:
    publish = stage(folder / "card", b"new")
    assert not (folder / "card").exists()
    assert publish() == publish() == folder / "card"
    assert [path.name for path in folder.iterdir()] == ["card"]


def test_what_is_gone_before_it_is_shown_is_missed(folder: Path) -> None:
    publish = stage(folder / "card", b"new")
    next(folder.iterdir()).unlink()
    with pytest.raises(FileNotFoundError):
        publish()


def test_what_dead_processes_left_goes_when_it_is_old(folder: Path) -> None:
    old, new, other = (staged_beside(folder / name) for name in ("a", "a", "b"))
    for path in (old, new, other, folder / "a"):
        path.write_bytes(b"half")
        age(path)
    os.utime(new)
    staged_beside(folder / "a")  # the next to write the same file
    assert sorted(folder.iterdir()) == sorted([new, other, folder / "a"])
    sweep_staged(folder)
    assert sorted(folder.iterdir()) == sorted([new, folder / "a"])


def test_a_name_is_no_pattern(folder: Path) -> None:
    for name in (".a.1.staged", ".[a].1.staged"):
        (folder / name).write_bytes(b"half")
        age(folder / name)
    write_whole(folder / "[a]", b"whole")
    assert sorted(path.name for path in folder.iterdir()) == [".a.1.staged", "[a]"]


def test_a_folder_is_stale_once_nothing_in_it_is_written_any_more(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "large").write_bytes(b"still coming")
    age(folder / "inner")
    age(folder)
    assert not is_stale(folder)
    age(folder / "inner" / "large")
    assert is_stale(folder)
    with pytest.raises(FileNotFoundError):
        is_stale(folder / "nothing")


def test_stale_files_and_folders_go_and_what_is_gone_already_is_passed_over(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "new").write_bytes(b"")
    age(tmp_path / "file")
    age(folder)
    files.remove_stale([tmp_path / "nothing", tmp_path / "file", folder, tmp_path / "new"])
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("content", [b"", b"a" * 3_000_000])
def test_the_sha256_of_a_file_is_that_of_its_content(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_no_descriptor_is_left_open(folder: Path) -> None:
    for name, write in WRITERS.items():
        write(folder / name, b"data")
    opened = [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path.startswith(str(folder))] == []


def test_what_was_just_shown_keeps_nothing_else_from_being_swept(folder: Path) -> None:
    for number in range(10):
        staged_beside(folder / f"shown{number}").symlink_to(folder / "nothing")  # gone when it is looked at
        dead = staged_beside(folder / f"dead{number}")
        dead.write_bytes(b"half")
        age(dead)
    sweep_staged(folder)
    assert [path.name for path in folder.iterdir() if "dead" in path.name] == []


def test_a_file_that_goes_while_it_is_counted_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    for name, size in (("a", 3), ("inside/b", 4), ("inside/gone", 5)):
        (tmp_path / name).write_bytes(b"." * size)
    found = sorted(files_below(tmp_path))
    (tmp_path / "inside" / "gone").unlink()
    assert len(found) == 3
    assert bytes_of(found) == 7
