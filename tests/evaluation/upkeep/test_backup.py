import io
import tarfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres import empty

from service.errors import ConfigurationError
from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.workers import Workers
from service.evaluation.upkeep import backup as module
from service.evaluation.upkeep.backup import MANIFEST, back_up, restore
from service.settings import Settings


def fill(settings: Settings) -> None:
    """One evaluation that is finished, one that waits, and what lies beside them."""
    jobs, uploads, state = Jobs.of(settings), Uploads(settings.state), settings.state
    jobs.accept("done", {"seed": 1}, client="somebody")
    job = jobs.claim("one")
    assert job is not None
    jobs.finish(job, "one", {"fid": 7})
    (uploads.begin("waiting") / "generated").write_bytes(b"sent")
    uploads.commit("waiting")
    (uploads.folder("waiting") / "attempt-1").mkdir()
    jobs.accept("waiting", {"seed": 2})
    uploads.begin("coming")
    for name in ("reports/done/figures", "references/mine.safetensors", "models/mine/model.toml", "tokens/8000"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(name)


def files_of(state: Path) -> set[str]:
    return {str(path.relative_to(state)) for path in state.rglob("*") if path.is_file()}


@pytest.fixture
def elsewhere(service_settings: Settings, tmp_path: Path) -> Settings:
    return service_settings.model_copy(update={"state_dir": tmp_path / "elsewhere"})


@pytest.mark.parametrize("name", ["state.tar", "state.tar.gz"])
def test_what_was_backed_up_is_there_again(
    service_settings: Settings, elsewhere: Settings, tmp_path: Path, name: str
) -> None:
    fill(service_settings)
    assert back_up(service_settings, tmp_path / name) == (tmp_path / name).stat().st_size
    assert restore(elsewhere, tmp_path / name) is None
    jobs = Jobs.of(elsewhere)
    assert (jobs.get("done").report, jobs.get("done").client) == ({"fid": 7}, "somebody")
    claimed = jobs.claim("one")
    assert claimed is not None
    assert (claimed.id, claimed.request) == ("waiting", {"seed": 2})
    assert files_of(elsewhere.state) == {
        "chapterhouse.db",
        "home",
        "models/mine/model.toml",
        "references/mine.safetensors",
        "reports/done/figures",
        "uploads/waiting/generated",
    }
    assert migrate(Database.of(elsewhere)) == []


def test_models_may_be_left_out(service_settings: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    fill(service_settings)
    back_up(service_settings, tmp_path / "state.tar", models=False)
    restore(elsewhere, tmp_path / "state.tar")
    assert not (elsewhere.state / "models").exists()


def test_an_evaluation_that_ends_meanwhile_is_backed_up_as_it_ended(
    service_settings: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service_settings)
    jobs, uploads, add = Jobs.of(service_settings), Uploads(service_settings.state), module._add

    def add_late(archive: tarfile.TarFile, path: Path, name: str) -> bool:
        if name == "uploads/waiting":
            jobs.remove("waiting")
            uploads.discard("waiting")
        return add(archive, path, name)

    monkeypatch.setattr(module, "_add", add_late)
    back_up(service_settings, tmp_path / "state.tar")
    restore(elsewhere, tmp_path / "state.tar")
    assert Jobs.of(elsewhere).get("waiting").status == "cancelled"


def test_an_upload_that_is_missing_is_no_backup(service_settings: Settings, tmp_path: Path) -> None:
    Jobs.of(service_settings).accept("a", {})
    with pytest.raises(ConfigurationError, match="Uploads are missing: a"):
        back_up(service_settings, tmp_path / "state.tar")
    assert not (tmp_path / "state.tar").exists()


def test_what_is_there_is_kept_unless_it_may_be_moved(service_settings: Settings, tmp_path: Path) -> None:
    fill(service_settings)
    back_up(service_settings, tmp_path / "state.tar")
    Jobs.of(service_settings).remove("done")
    with pytest.raises(ConfigurationError, match="is not empty; with --replace"):
        restore(service_settings, tmp_path / "state.tar")
    aside = restore(service_settings, tmp_path / "state.tar", replace=True)
    assert aside is not None
    assert aside.parent == service_settings.state
    assert "done" in Jobs.of(service_settings).ids()
    kept = Jobs(Database(sa.URL.create("sqlite", database=str(aside / "chapterhouse.db"))))
    assert "done" not in kept.ids()
    back_up(service_settings, tmp_path / "again.tar")
    with tarfile.open(tmp_path / "again.tar") as archive:
        assert not [name for name in archive.getnames() if name.startswith("replaced-")]


def test_while_a_service_works_there_nothing_is_brought_back(service_settings: Settings, tmp_path: Path) -> None:
    back_up(service_settings, tmp_path / "state.tar")
    worker = Workers(service_settings.state).enter()
    with pytest.raises(ConfigurationError, match="A service works in"):
        restore(service_settings, tmp_path / "state.tar", replace=True)
    worker.leave()


def test_what_is_no_backup_changes_nothing(service_settings: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    file = tmp_path / "other.tar"
    file.write_bytes(b"no archive")
    with pytest.raises(ConfigurationError, match="is no backup"):
        restore(elsewhere, file)
    for name, content in (("innocent", b"x"), (f"../{MANIFEST}", b"{}"), (MANIFEST, b'{"format": 9, "version": "9"}')):
        with tarfile.open(file, "w") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        with pytest.raises(ConfigurationError, match=r"is no backup|does not know: 9"):
            restore(elsewhere, file)
    with pytest.raises(FileNotFoundError):
        restore(elsewhere, tmp_path / "nowhere.tar")
    assert list(elsewhere.state.iterdir()) == []
    assert not (tmp_path / MANIFEST).exists()
    fill(service_settings)


def test_a_backup_of_a_newer_version_is_refused_and_an_older_database_is_not_backed_up(
    service_settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    database = Database.of(service_settings)
    for revision, words in (("9999", "revision 9999"), ("0002", "lacks revision")):
        with database.writing() as connection:
            connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        with pytest.raises(ConfigurationError, match=words):
            back_up(service_settings, tmp_path / "state.tar")
    newer = tmp_path / "rows.db"
    rows = Database(sa.URL.create("sqlite", database=str(newer)))
    migrate(rows)
    with rows.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    (tmp_path / MANIFEST).write_text('{"format": 1, "version": "9"}')
    with tarfile.open(tmp_path / "newer.tar", "w") as archive:
        archive.add(newer, "rows.db")
        archive.add(tmp_path / MANIFEST, MANIFEST)
    with pytest.raises(ConfigurationError, match="revision 9999, which this version of Chapterhouse does not know"):
        restore(elsewhere, tmp_path / "newer.tar")


def test_rows_go_from_sqlite_to_postgresql_and_back(
    service_settings: Settings, elsewhere: Settings, tmp_path: Path, postgres_url: sa.URL
) -> None:
    empty(postgres_url)
    address = postgres_url.render_as_string(hide_password=False)
    fill(service_settings)
    back_up(service_settings, tmp_path / "one.tar")
    served = elsewhere.model_copy(update={"database_url": address})
    restore(served, tmp_path / "one.tar")
    assert "chapterhouse.db" not in files_of(served.state)
    jobs = Jobs.of(served)
    assert jobs.get("done").report == {"fid": 7}
    jobs.remove("done")
    with pytest.raises(ConfigurationError, match="holds evaluations"):
        restore(served.model_copy(update={"state_dir": tmp_path / "third"}), tmp_path / "one.tar")
    restore(served, tmp_path / "one.tar", replace=True)
    assert jobs.ids() == {"done", "waiting"}
    back_up(served, tmp_path / "two.tar")
    last = elsewhere.model_copy(update={"state_dir": tmp_path / "last"})
    restore(last, tmp_path / "two.tar")
    assert Jobs.of(last).ids() == {"done", "waiting"}
    jobs.database.close()
