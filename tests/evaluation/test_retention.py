import os
import time
from pathlib import Path

import numpy as np
import pytest

from service.evaluation.figures.data import Figures, Projection
from service.evaluation.figures.files import FigureFiles
from service.evaluation.queue.database import EVALUATIONS, Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.retention import DAY_S, Retention
from service.evaluation.shared_references import references_of
from service.files import STALE_S
from service.settings import Settings
from service.storage.opening import open_storage


@pytest.fixture
def jobs(service_settings: Settings) -> Jobs:
    return Jobs.of(service_settings)


def end(jobs: Jobs, settings: Settings, name: str, *, days_ago: float) -> None:
    jobs.accept(name, {})
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"fid": 1.0})
    with Database.of(settings).writing() as connection:
        this = EVALUATIONS.update().where(EVALUATIONS.c.id == name)
        connection.execute(this.values(ended=time.time() - days_ago * DAY_S))


def sweep(jobs: Jobs, settings: Settings, **changed: object) -> None:
    settings = settings.model_copy(update=changed)
    storage = open_storage(settings)
    figure_files, references = FigureFiles(storage), references_of(settings, storage)
    Retention(settings, jobs, Uploads(settings.state, storage), figure_files, references).sweep()


def test_reports_are_kept_for_so_many_days_and_what_is_open_always(jobs: Jobs, service_settings: Settings) -> None:
    for name, days in (("new", 0.0), ("older", 5.0), ("old", 20.0)):
        end(jobs, service_settings, name, days_ago=days)
    jobs.accept("open", {})
    sweep(jobs, service_settings, reports_keep_days=0.0)
    assert jobs.ids() == {"new", "older", "old", "open"}
    sweep(jobs, service_settings, reports_keep_days=10.0)
    assert jobs.ids() == {"new", "older", "open"}


def test_beyond_the_limit_the_oldest_go_first_with_their_exhibits(jobs: Jobs, service_settings: Settings) -> None:
    figure_files = FigureFiles(open_storage(service_settings))
    shown = Figures(projection=Projection(np.zeros((4, 2)), np.zeros((4, 2)), np.ones(2)))
    for days, name in enumerate(("a", "b", "c")):
        end(jobs, service_settings, name, days_ago=days)
        figure_files.save(name, shown)
    each = figure_files.size_of("a") + len('{"fid": 1.0}')
    sweep(jobs, service_settings, reports_disk_bytes=2 * each)
    assert jobs.ids() == {"a", "b"}
    assert figure_files.load("b") is not None
    assert (figure_files.load("c"), figure_files.size_of("c")) == (None, 0)


def test_what_was_being_written_when_a_process_died_goes_when_it_is_old(jobs: Jobs, service_settings: Settings) -> None:
    folder = service_settings.reference_dirs[0]
    folder.mkdir(parents=True)
    for name in (".old.safetensors.1.staged", ".new.safetensors.2.staged", "kept.safetensors"):
        (folder / name).write_bytes(b"half")
    old = time.time() - STALE_S - 60
    os.utime(folder / ".old.safetensors.1.staged", (old, old))
    os.utime(folder / "kept.safetensors", (old, old))
    sweep(jobs, service_settings)
    assert sorted(file.name for file in folder.iterdir()) == [".new.safetensors.2.staged", "kept.safetensors"]


def test_an_upload_takes_what_has_come_of_it_and_is_its_clients(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    assert uploads.used_bytes() == {}
    folder = uploads.begin("a", owner="one")
    assert uploads.used_bytes() == {"one": 0}
    (folder / "generated").write_bytes(bytes(400))
    assert uploads.used_bytes() == {"one": 400}
    (folder / "reference").write_bytes(bytes(700))
    uploads.commit("a")
    (uploads.begin("b", owner="two") / "generated").write_bytes(bytes(5))
    (uploads.begin("c") / "generated").write_bytes(bytes(3))
    assert uploads.used_bytes() == {"one": 1100, "two": 5, "": 3}
    uploads.discard("a")
    assert uploads.used_bytes() == {"two": 5, "": 3}
