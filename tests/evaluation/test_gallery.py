import os
import time
from pathlib import Path

import pytest
from evaluation.reporting import exhibits

from service.evaluation.exhibits import FILE
from service.evaluation.gallery import Gallery
from service.evaluation.uploads import STALE_S


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path)


def test_what_was_hung_is_shown_until_it_is_discarded(gallery: Gallery, tmp_path: Path) -> None:
    assert gallery.show("a") is None
    gallery.hang("a", exhibits())
    gallery.hang("a", exhibits(classes=3))
    shown = gallery.show("a")
    assert shown is not None
    assert shown.classes is not None
    assert len(shown.classes.labels) == 3
    assert [file.name for file in (tmp_path / "reports" / "a").iterdir()] == [FILE]
    assert gallery.size_of("a") == (tmp_path / "reports" / "a" / FILE).stat().st_size
    gallery.discard("a")
    gallery.discard("a")
    assert gallery.show("a") is None
    assert gallery.size_of("a") == 0


def test_a_report_of_the_same_samples_gets_a_copy(gallery: Gallery) -> None:
    gallery.hang("a", exhibits())
    gallery.copy("a", "b")
    gallery.copy("nobody", "c")
    gallery.discard("a")
    assert gallery.show("b") is not None
    assert gallery.show("c") is None


def test_what_nobody_wants_is_swept_when_it_is_old(gallery: Gallery, tmp_path: Path) -> None:
    gallery.sweep(set())
    for name in ("wanted", "orphan", "new"):
        gallery.hang(name, exhibits())
    old = time.time() - STALE_S - 60
    for name in ("wanted", "orphan"):
        os.utime(tmp_path / "reports" / name, (old, old))
    gallery.sweep({"wanted"})
    assert sorted(folder.name for folder in (tmp_path / "reports").iterdir()) == ["new", "wanted"]
