from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
import sqlalchemy as sa

from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[sa.URL]:
    """A PostgreSQL server, started once."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.running_postgres() as url:
        yield url


@pytest.fixture
def database(postgres_url: sa.URL) -> Iterator[Database]:
    """A database that services share, of this revision and with nothing in it."""
    postgres.empty(postgres_url)
    database = Database(postgres_url)
    migrate(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of either kind, as fronts and evaluators have it."""
    if request.param == "sqlite":
        url = sa.URL.create("sqlite", database=str(tmp_path / "with spaces? and more.db"))
    else:
        url = request.getfixturevalue("postgres_url")
        postgres.empty(url)
    database = Database(url, kept=2)
    yield database
    database.close()
