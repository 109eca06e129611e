"""Where evaluations are kept: a SQLite file beside everything else, or a PostgreSQL server; and the tables of now.

`migrations` brings the tables of older versions here, and a test compares the two.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool, QueuePool

from service.errors import ConfigurationError, DatabaseUnavailable
from service.settings import Settings

log = logging.getLogger(__name__)

BUSY_S = 30.0
"""How long a writer of SQLite waits for another one."""
CONNECT_S, SILENCE_S = 5, 15
"""How long a PostgreSQL may take to connect, and to answer the network at all."""
LOG_EVERY_S = 60.0
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED")

SEEN = "seen"
"""By this name a kept connection knows how its file was when it was made."""
SETTING = "CHAPTERHOUSE_DATABASE_URL"
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
CHANNEL = "chapterhouse_evaluations"
"""Where PostgreSQL tells who listens of the rows that change."""
QUEUE_LOCK, LEADER_LOCK = 0x7175657565, 0x6C6561646572
"""The numbers under which PostgreSQL's advisory locks are held: on the queue, and of who leads all services."""
NOTICED = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
"""So that a server lets go within a minute of what is held by a machine that has vanished."""

METADATA = sa.MetaData()
EVALUATIONS = sa.Table(
    "evaluations",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False, server_default="evaluation"),
    sa.Column("status", sa.String(16), nullable=False, index=True),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float, index=True),
    sa.Column("home", sa.String(32)),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("inputs_sha256", sa.String(64), index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("report", sa.JSON),
    sa.Column("problem", sa.JSON),
    sa.Column("client", sa.String(64), nullable=False, server_default=""),
    sa.Column("upload_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("key", sa.String(64)),
    sa.Column("storage", sa.String(255), nullable=False, server_default=""),
    sa.Column("figures_bytes", sa.BigInteger),
)
HOMES = sa.Table(
    "homes",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("engines", sa.String(4096), nullable=False, server_default=""),
)
KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float),
    sa.Column("revoked", sa.Float),
    sa.Column("rate", sa.Float),
    sa.Column("concurrency", sa.Integer),
)


class Database:
    """Transactions of one database. Raises ConfigurationError for an address that is none.

    `busy_s` is how long another process may hold a SQLite file before it counts as locked. So many connections to it
    are `kept` for those who ask all day long: to open it costs more than most questions, and to close it last writes.
    """

    def __init__(self, url: sa.URL, *, busy_s: float = BUSY_S, kept: int = 0) -> None:
        self._url = url
        self._said: dict[str, float] = {}
        self.is_sqlite = url.get_backend_name() == "sqlite"
        network = {"connect_timeout": CONNECT_S, "tcp_user_timeout": SILENCE_S * 1000}
        options: dict[str, Any] = (
            {**_pool_of(kept), "connect_args": {"timeout": busy_s}} if self.is_sqlite else {"connect_args": network}
        )
        try:
            self._engine = sa.create_engine(url, json_serializer=_json, **options)
        except ModuleNotFoundError as error:
            wanted = "PostgreSQL needs the extra `postgres`: pip install 'chapterhouse[postgres]'"
            raise ConfigurationError(f"{SETTING}: {wanted}.") from error
        if self.is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_connection)
            if kept:
                sa.event.listen(self._engine, "checkout", self._check_same)
        else:
            sa.event.listen(self._engine, "checkout", _check_open)

    @classmethod
    def of(cls, settings: Settings, *, busy_s: float = BUSY_S, kept: int = 0) -> Self:
        """The database that these settings name."""
        if settings.database_url:
            return cls(_url(settings.database_url), busy_s=busy_s)
        settings.database.parent.mkdir(parents=True, exist_ok=True)
        return cls(sa.URL.create("sqlite", database=str(settings.database)), busy_s=busy_s, kept=kept)

    @property
    def name(self) -> str:
        """What an operator knows it by: its file, or its address without the password."""
        return str(self._url.database) if self.is_sqlite else self._url.render_as_string(hide_password=True)

    @property
    def address(self) -> str:
        """Where PostgreSQL's own driver finds it; may hold a password."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries. Raises DatabaseUnavailable."""
        with self.answering(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, rolled back by an error. Raises DatabaseUnavailable.

        SQLite's takes the write lock at once, so that what it read stays true; PostgreSQL's locks the rows that it
        reads for update.
        """
        with self.answering(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for queries that all see the same moment. Raises DatabaseUnavailable."""
        with self.answering(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN" if self.is_sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield connection
            connection.rollback()

    def lock_queue(self, connection: Connection) -> None:
        """Let nobody else add to the queue before this transaction is over, so that what it counts stays true."""
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(QUEUE_LOCK)))

    def lead(self) -> Connection | None:
        """A connection that holds the lead of all services as long as it lasts; None where another has it.

        Raises DatabaseUnavailable.
        """
        with self.answering():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                if connection.execute(sa.select(sa.func.pg_try_advisory_lock(LEADER_LOCK))).scalar_one():
                    connection.exec_driver_sql(NOTICED)
                    return connection
            except BaseException:
                connection.invalidate()
                raise
            connection.close()
        return None

    def close(self) -> None:
        """Close the connections that wait for further use."""
        self._engine.dispose()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What is done with a connection of this database. Raises DatabaseUnavailable."""
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError) as error:
            raise self._unavailable(error) from error
        except sa.exc.DatabaseError as error:
            if type(error) is not sa.exc.DatabaseError:
                raise  # a mistake of ours
            raise self._unavailable(error) from error

    def may_come_back(self, error: DatabaseUnavailable) -> bool:
        """Whether what is wrong may pass or be repaired, rather than be a mistake in the address."""
        code = getattr(getattr(error.__cause__, "orig", None), "sqlite_errorname", "")
        return not self.is_sqlite or code.startswith((*DAMAGED, *LOCKED))

    def _check_same(self, _connection: object, record: Any, _proxy: object) -> None:
        """Have a kept connection replaced whose file may be another one by now: it has been written to, by whomever."""
        seen = self._seen()
        if record.info.setdefault(SEEN, seen) != seen:
            raise sa.exc.DisconnectionError

    def _seen(self) -> tuple[int, ...]:
        """What tells the file from another in its place."""
        try:
            found = Path(self.name).stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _unavailable(self, error: sa.exc.DBAPIError) -> DatabaseUnavailable:
        """The error for callers; the operator is told of each kind once a minute."""
        code = getattr(error.orig, "sqlite_errorname", "")
        kind, way_out = "does not answer", ""
        if code.startswith(DAMAGED):
            kind, way_out = "is damaged", "; `chapterhouse state check` says what is left of it and what to do"
        elif code.startswith(LOCKED):
            kind, way_out = "is locked", "; another process holds it, and `chapterhouse state check` says more"
        now = time.monotonic()
        if now - self._said.get(kind, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._said[kind] = now
            log.warning("the database %s %s: %s%s", self.name, kind, error.orig, way_out)
        return DatabaseUnavailable(f"The database of evaluations {kind}.")


def _url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):  # what they say may hold a part of the password
        raise ConfigurationError(f"{SETTING}: this is no address of a database.") from None
    if url.drivername not in (*DRIVERS, *DRIVERS.values()):
        raise ConfigurationError(f"{SETTING}: {url.drivername!r} is not known; use sqlite:///FILE or postgresql://….")
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _check_open(connection: Any, _record: object, _proxy: object) -> None:
    """Have a connection that the server has closed replaced: to ask it would be a transaction each time."""
    try:
        for _ in range(2):  # what it said last, and that it said no more
            connection.pgconn.consume_input()
    except connection.OperationalError as error:
        raise sa.exc.DisconnectionError from error


def _pool_of(kept: int) -> dict[str, Any]:
    """Connections to a SQLite file: so many are kept, and as many more made as are needed at a time."""
    return {"poolclass": QueuePool, "pool_size": kept, "max_overflow": -1} if kept else {"poolclass": NullPool}


def _prepare_connection(connection: Any, _record: object) -> None:
    """Readers beside a writer, a report on disk before it is answered, transactions begun by us."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
