import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service.errors import ConfigurationError
from service.evaluation.queue.database import METADATA, Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import migrate
from service.settings import Settings

FIRST_VERSION = """
CREATE TABLE evaluations (
    id VARCHAR(32) NOT NULL, status VARCHAR(16) NOT NULL, request JSON NOT NULL, created FLOAT NOT NULL,
    started FLOAT, ended FLOAT, owner VARCHAR(64), lease_until FLOAT, attempt INTEGER NOT NULL,
    progress FLOAT NOT NULL, report JSON, problem JSON, PRIMARY KEY (id)
);
CREATE INDEX ix_evaluations_status ON evaluations (status);
CREATE INDEX ix_evaluations_created ON evaluations (created);
INSERT INTO evaluations VALUES ('old', 'finished', '{"seed": 3}', 1.0, 2.0, 3.0, NULL, 4.0, 1, 1.0, '{"fid": 7}', NULL);
INSERT INTO evaluations VALUES ('open', 'queued', '{}', 5.0, NULL, NULL, NULL, NULL, 0, 0.0, NULL, NULL);
"""


def differences(database: Database) -> list[object]:
    with database.reading() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))


def test_the_migrations_make_the_tables_that_the_code_uses(empty_database: Database) -> None:
    assert migrate(empty_database) == ["0001", "0002", "0003", "0004", "0005", "0006"]
    assert differences(empty_database) == []
    assert migrate(empty_database) == []


def test_a_database_from_before_alembic_is_adopted_with_what_it_holds(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with sqlite3.connect(settings.database) as old:
        old.executescript(FIRST_VERSION)
    old.close()
    database = Database.of(settings)
    assert migrate(database) == ["0002", "0003", "0004", "0005", "0006"]
    assert differences(database) == []
    jobs = Jobs(database, home="here")
    assert (jobs.get("old").report, jobs.get("old").kind) == ({"fid": 7}, "evaluation")
    claimed = jobs.claim("one")
    assert claimed is not None
    assert claimed.id == "open"


def test_services_that_start_at_once_migrate_one_after_the_other(empty_database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(empty_database), range(4)))
    assert sorted(done) == [[], [], [], ["0001", "0002", "0003", "0004", "0005", "0006"]]
    assert differences(empty_database) == []


def test_a_database_of_a_newer_version_is_left_alone(empty_database: Database) -> None:
    migrate(empty_database)
    with empty_database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="revision 9999, which this version of Chapterhouse does not know"):
        migrate(empty_database)
