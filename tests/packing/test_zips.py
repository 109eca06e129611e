import io
import os
import zipfile
from pathlib import Path

import pytest

from service.packing.zips import Zip


@pytest.mark.parametrize("count", [0, 1, 65_534, 65_535, 65_536])
def test_any_number_of_files_is_found_again(count: int) -> None:
    archive = Zip()
    whole = b"".join([*(archive.add(b"%06d" % index, b"%d" % index) for index in range(count)), archive.finish()])
    with zipfile.ZipFile(io.BytesIO(whole)) as found:
        assert found.namelist() == [f"{index:06}" for index in range(count)]
        assert [found.read(name) for name in found.namelist()[-3:]] == [b"%d" % i for i in range(count)[-3:]]


@pytest.mark.parametrize("offset", [(1 << 32) - 40, (1 << 32) - 1, 1 << 33])
def test_files_beyond_4_gib_are_found_again(tmp_path: Path, offset: int) -> None:
    archive = Zip(offset=offset)
    path = tmp_path / "far.zip"
    with path.open("wb") as file:
        os.truncate(file.fileno(), offset)  # a hole, which takes no disk
        file.seek(offset)
        file.write(archive.add(b"first", b"one") + archive.add(b"second", b"two") + archive.finish())
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert [found.read(name) for name in ("first", "second")] == [b"one", b"two"]


def test_what_is_kept_of_a_file_is_its_line_of_the_directory() -> None:
    archive = Zip()
    for index in range(1000):
        archive.add(b"%05d.png" % index, bytes(300))
    assert len(archive.finish()) < 60 * 1000
