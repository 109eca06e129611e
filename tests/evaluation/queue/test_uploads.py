import os
import time
from pathlib import Path

import pytest

from service.evaluation.queue.uploads import Uploads
from service.files import STALE_S


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "state")


def test_every_attempt_has_a_folder_of_its_own_and_clears_up_after_the_dead(uploads: Uploads) -> None:
    (uploads.begin("a") / "generated").write_bytes(b"sent")
    uploads.commit("a")
    (uploads.folder("a") / "attempt-of-one-that-died").mkdir()
    with uploads.attempt("a") as first:
        assert list(uploads.folder("a").glob("attempt-*")) == [first]
        with uploads.attempt("a") as second:
            assert second != first
    assert [file.name for file in uploads.folder("a").iterdir()] == ["generated"]


def test_uploads_are_seen_only_when_whole_and_swept_when_nobody_wants_them(uploads: Uploads, tmp_path: Path) -> None:
    uploads.sweep(set())
    receiving = uploads.begin("new")
    assert not uploads.folder("new").exists()
    uploads.commit("new")
    assert uploads.folder("new").exists()
    assert not receiving.exists()
    old = time.time() - STALE_S - 60
    for name in ("wanted", "orphan"):
        uploads.begin(name)
        uploads.commit(name)
        os.utime(uploads.folder(name), (old, old))
    os.utime(uploads.begin("half"), (old, old))
    coming = uploads.begin("coming")
    (coming / "generated").write_bytes(b"some of a large file")  # over a slow line, for hours
    os.utime(coming, (old, old))
    uploads.sweep({"wanted"})
    left = sorted(folder.name for folder in (tmp_path / "state" / "uploads").iterdir())
    assert left == [".coming", "new", "wanted"]
    uploads.discard("new")
    assert not uploads.folder("new").exists()
