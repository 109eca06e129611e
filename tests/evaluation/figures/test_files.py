import os
import time
from pathlib import Path

import pytest
from evaluation.reporting import figures

from service.evaluation.figures.data import FILE
from service.evaluation.figures.files import FigureFiles
from service.files import STALE_S
from service.storage.folder import Folder


@pytest.fixture
def figure_files(tmp_path: Path) -> FigureFiles:
    return FigureFiles(Folder(tmp_path))


def test_what_was_hung_is_shown_until_it_is_discarded(figure_files: FigureFiles, tmp_path: Path) -> None:
    assert figure_files.load("a") is None
    figure_files.save("a", figures())
    figure_files.save("a", figures(classes=3))
    shown = figure_files.load("a")
    assert shown is not None
    assert shown.classes is not None
    assert len(shown.classes.labels) == 3
    assert [file.name for file in (tmp_path / "reports" / "a").iterdir()] == [FILE]
    assert figure_files.size_of("a") == (tmp_path / "reports" / "a" / FILE).stat().st_size
    figure_files.discard("a")
    figure_files.discard("a")
    assert figure_files.load("a") is None
    assert figure_files.size_of("a") == 0


def test_a_report_of_the_same_samples_gets_a_copy(figure_files: FigureFiles) -> None:
    figure_files.save("a", figures())
    figure_files.copy("a", "b")
    figure_files.copy("nobody", "c")
    figure_files.discard("a")
    assert figure_files.load("b") is not None
    assert figure_files.load("c") is None


def test_what_nobody_wants_is_swept_when_it_is_old(figure_files: FigureFiles, tmp_path: Path) -> None:
    figure_files.sweep(set())
    for name in ("wanted", "orphan", "new"):
        figure_files.save(name, figures())
    old = time.time() - STALE_S - 60
    for name in ("wanted", "orphan"):
        for path in (tmp_path / "reports" / name / FILE, tmp_path / "reports" / name):
            os.utime(path, (old, old))
    figure_files.sweep({"wanted"})
    assert sorted(folder.name for folder in (tmp_path / "reports").iterdir()) == ["new", "wanted"]
