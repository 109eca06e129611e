import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.errors import ConfigurationError, DatabaseUnavailable
from service.evaluation.queue.database import Database
from service.settings import Settings


def test_it_is_a_file_in_the_state_directory_unless_set(tmp_path: Path) -> None:
    database = Database.of(Settings(state_dir=tmp_path / "new"))
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    assert database.is_sqlite
    assert (tmp_path / "new" / "chapterhouse.db").is_file()
    other = Database.of(Settings(database_url=f"sqlite:///{tmp_path}/other.db"))
    with other.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_read(scheme: str) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    assert not Database.of(Settings(database_url=f"{scheme}://me@nowhere/evaluations")).is_sqlite


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "no address"),
        ("mysql://me@here/x", "'mysql' is not known"),
        ("postgresql+asyncpg://x/y", "asyncpg"),
    ],
)
def test_an_address_that_cannot_be_is_a_mistake_of_the_configuration(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^CHAPTERHOUSE_DATABASE_URL: .*{words}") as raised:
        Database.of(Settings(database_url=url))
    assert url not in str(raised.value)


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'chapterhouse\[postgres\]'"):
        Database.of(Settings(database_url="postgresql://me@nowhere/evaluations"))


def test_a_transaction_that_fails_leaves_nothing(empty_database: Database) -> None:
    with empty_database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
    with contextlib.suppress(ArithmeticError), empty_database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        raise ArithmeticError
    with empty_database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one() == 0


def test_a_database_that_is_away_is_an_error_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "folder.db"
    file.mkdir()
    database = Database(sa.URL.create("sqlite", database=str(file)))
    with pytest.raises(DatabaseUnavailable), database.reading():
        pass


def spoil(file: Path) -> None:
    """Write rubbish over a database, its beginning included."""
    file.write_bytes(b"this was a database once" * 400)


def holding(file: Path, number: int) -> Path:
    """A database of one number."""
    with (
        contextlib.closing(Database(sa.URL.create("sqlite", database=str(file)))) as database,
        database.writing() as connection,
    ):
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        connection.execute(sa.text("INSERT INTO t VALUES (:number)"), {"number": number})
    return file


def held_by(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(sa.text("SELECT x FROM t")).scalar_one())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Database]:
    """One whose connections stay open, over a file that holds 1."""
    file = holding(tmp_path / "kept.db", 1)
    with contextlib.closing(Database(sa.URL.create("sqlite", database=str(file)), kept=2)) as database:
        yield database


def test_a_connection_that_is_kept_is_made_once(kept: Database) -> None:
    made: list[object] = []
    sa.event.listen(kept._engine, "connect", lambda connection, _: made.append(connection))
    for _ in range(20):
        assert held_by(kept) == 1
        with kept.writing() as connection:
            connection.exec_driver_sql("UPDATE t SET x = 1")
    assert len(made) == 1


def test_a_connection_that_is_kept_is_not_to_a_file_that_is_gone(kept: Database, tmp_path: Path) -> None:
    assert held_by(kept) == 1
    holding(tmp_path / "other.db", 2).replace(kept.name)
    for ending in ("-wal", "-shm"):
        Path(kept.name + ending).unlink(missing_ok=True)
    assert held_by(kept) == 2


def test_damage_is_noticed_and_repaired_under_a_connection_that_is_kept(kept: Database, tmp_path: Path) -> None:
    assert held_by(kept) == 1
    spoil(Path(kept.name))
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="is damaged"):
            held_by(kept)
    holding(tmp_path / "repaired.db", 3).replace(kept.name)
    assert held_by(kept) == 3


def test_many_who_ask_at_once_wait_for_no_connection(kept: Database) -> None:
    with contextlib.ExitStack() as open_ones:
        found = [open_ones.enter_context(kept.reading()) for _ in range(10)]
        assert {connection.execute(sa.text("SELECT x FROM t")).scalar_one() for connection in found} == {1}


def test_a_damaged_database_is_named_with_the_way_out_and_not_in_every_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "damaged.db"
    spoil(file)
    database = Database(sa.URL.create("sqlite", database=str(file)))
    for _ in range(3):
        with (
            pytest.raises(DatabaseUnavailable, match=r"^The database of evaluations is damaged\.$"),
            database.reading(),
        ):
            pass
    [line] = caplog.messages
    assert str(file) in line
    assert "`chapterhouse state check`" in line


def test_a_database_that_another_process_holds_is_locked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = sa.URL.create("sqlite", database=str(tmp_path / "held.db"))
    with Database(url).writing(), pytest.raises(DatabaseUnavailable, match="is locked"):  # noqa: SIM117
        with Database(url, busy_s=0.0).writing():
            pass
    assert "another process holds it" in caplog.text


def test_a_statement_that_is_wrong_is_our_mistake_and_not_the_databases(tmp_path: Path) -> None:
    database = Database(sa.URL.create("sqlite", database=str(tmp_path / "x.db")))
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x INTEGER UNIQUE)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")


def test_its_name_holds_no_password() -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    database = Database.of(Settings(database_url="postgresql://me:secret@nowhere/evaluations"))
    assert "secret" not in database.name
    assert "nowhere" in database.name
    assert database.address.startswith("postgresql://me:secret@")


def test_connections_that_the_server_has_closed_are_replaced(postgres_url: sa.URL) -> None:
    database, elsewhere = Database(postgres_url), Database(postgres_url)
    with database.reading() as connection:
        old = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
    with elsewhere.writing() as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(old, 10_000)))
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one() != old
    for opened in (database, elsewhere):
        opened.close()
