import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from serving import Service
from waiting import eventually

from service.errors import ConfigurationError
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.processes import migration as module
from service.processes.migration import Migration
from service.settings import Settings

RUBBISH = b"this was a database once" * 400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def test_a_new_state_directory_gets_a_database(settings: Settings) -> None:
    migration = Migration(settings)
    migration.try_once()
    assert migration.done
    assert migrate(Database.of(settings)) == []


async def test_a_damaged_database_is_migrated_as_soon_as_it_is_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    settings.state.mkdir()
    settings.database.write_bytes(RUBBISH)
    migration = Migration(settings)
    migration.try_once()
    assert not migration.done
    assert str(settings.database) in caplog.text
    assert "the rest goes on" in caplog.text
    insisting = asyncio.create_task(migration.insist())
    settings.database.unlink()
    await eventually(insisting.done)
    assert migration.done


def test_a_database_of_a_newer_version_is_refused(settings: Settings) -> None:
    migrate(Database.of(settings))
    with Database.of(settings).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="revision 9999"):
        Migration(settings).try_once()


@pytest.mark.slow
def test_a_service_of_a_damaged_database_does_everything_else(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "chapterhouse.db").write_bytes(RUBBISH)
    with Service(tmp_path) as service:
        service.wait_until_ready()
        evaluations, ready, models = (service.get(path) for path in ("/evaluations", "/health/ready", "/models"))
        assert ready is not None
        assert ready.json()["impaired"] == ["evaluations: The database of evaluations is damaged."]
        assert evaluations is not None
        assert (evaluations.status_code, evaluations.json()["title"]) == (503, "The database is not available")
        assert models is not None
        assert models.status_code == 200
        assert "`chapterhouse state check`" in service.log
        assert "Traceback" not in service.log
        assert len(service.children("evaluator")) == 1


@pytest.mark.slow
def test_a_service_does_not_start_over_a_database_of_a_newer_version(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    migrate(Database.of(settings))
    with Database.of(settings).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with Service(tmp_path) as service:
        assert service.exit_status() == 2
        [line] = service.log.splitlines()
    assert line.startswith("chapterhouse: The database is of revision 9999, which this version")
