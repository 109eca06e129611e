import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.errors import ConfigurationError
from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import JobKind, Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.upkeep import check as module
from service.evaluation.upkeep.check import findings
from service.files import STALE_S
from service.settings import Settings


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    monkeypatch.setattr(module, "BUSY_S", 0.0)


def upload(settings: Settings, name: str, file: str = "generated") -> Path:
    uploads = Uploads(settings.state)
    (uploads.begin(name) / file).write_bytes(b"sent")
    uploads.commit(name)
    return uploads.folder(name)


def test_where_all_is_well_nothing_is_found(service_settings: Settings) -> None:
    jobs = Jobs.of(service_settings)
    for name, kind, file in (("a", JobKind.EVALUATION, "generated"), ("b", JobKind.REFERENCE, "reference")):
        upload(service_settings, name, file)
        jobs.accept(name, {}, kind)
    Uploads(service_settings.state).begin("coming")
    assert list(findings(service_settings)) == []


def test_uploads_of_nobody_and_evaluations_without_theirs_are_named(service_settings: Settings) -> None:
    orphan = upload(service_settings, "orphan")
    Jobs.of(service_settings).accept("empty", {})
    figures = service_settings.state / "reports" / "forgotten"
    figures.mkdir(parents=True)
    told = list(findings(service_settings))
    assert [line.partition(":")[0] for line in told] == [
        str(orphan),
        str(service_settings.state / "uploads" / "empty"),
        str(figures),
    ]
    assert "evaluation empty is missing" in told[1]


def test_an_upload_that_was_never_finished_is_named_once_nobody_goes_on_with_it(service_settings: Settings) -> None:
    folder = Uploads(service_settings.state).begin("half")
    old = time.time() - STALE_S - 60
    os.utime(folder, (old, old))
    [told] = findings(service_settings)
    assert told.startswith(str(folder))


def test_what_waits_in_another_state_directory_has_its_files_there(service_settings: Settings) -> None:
    Jobs(Database.of(service_settings), home="elsewhere").accept("a", {})
    assert list(findings(service_settings)) == []


def test_a_file_that_is_no_database_is_named_with_the_way_out(service_settings: Settings) -> None:
    service_settings.database.write_bytes(b"this was a database once" * 400)
    [told] = findings(service_settings)
    assert told.startswith(f"{service_settings.database}: file is not a database. Stop the service")
    assert "`chapterhouse state restore`" in told


def test_damage_in_the_middle_is_found(service_settings: Settings) -> None:
    Jobs.of(service_settings).accept("a", {"padding": "x" * 200_000})
    upload(service_settings, "a")
    file = service_settings.database
    size = file.stat().st_size
    with file.open("r+b") as database:
        database.seek(size // 2)
        database.write(b"\xff" * 8192)
    told = list(findings(service_settings))
    assert told
    assert "`chapterhouse state restore`" in told[0]


def test_who_holds_a_locked_database_is_named(service_settings: Settings) -> None:
    with Database.of(service_settings).writing():
        [told] = findings(service_settings)
    assert told.startswith(f"{service_settings.database}: database is locked. Another process holds it (process ")


def test_a_newer_and_an_older_database_are_told_apart(service_settings: Settings) -> None:
    with Database.of(service_settings).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    [told] = findings(service_settings)
    assert "lacks revision" in told
    assert "`chapterhouse migrate`" in told
    with Database.of(service_settings).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    [told] = findings(service_settings)
    assert "revision 9999, which this version of Chapterhouse does not know" in told


def test_files_without_any_database_are_named(service_settings: Settings) -> None:
    upload(service_settings, "a")
    for file in service_settings.state.glob("chapterhouse.db*"):
        file.unlink()
    [told] = findings(service_settings)
    assert "there is no database" in told
    assert not service_settings.database.exists()


def test_a_reference_that_cannot_be_read_is_named(service_settings: Settings) -> None:
    folder = service_settings.state / "references"
    folder.mkdir()
    (folder / "mine.safetensors").write_bytes(b"rubbish")
    [told] = findings(service_settings)
    assert "mine.safetensors" in told


def test_a_state_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no"):
        list(findings(Settings(state_dir=tmp_path / "nowhere")))
    assert not (tmp_path / "nowhere").exists()
