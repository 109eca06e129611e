"""Where evaluations are kept: a SQLite file beside everything else, or a PostgreSQL server; and the tables of now.

`migrations` brings the tables of older versions here, and a test compares the two.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from service.errors import ConfigurationError, DatabaseUnavailable
from service.settings import Settings

log = logging.getLogger(__name__)

SETTING = "CHAPTERHOUSE_DATABASE_URL"
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
BUSY_S = 30.0
"""How long a writer of SQLite waits for another one."""
CONNECT_S = 5

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
    sa.Column("ended", sa.Float),
    sa.Column("home", sa.String(32)),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("inputs_sha256", sa.String(64), index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("report", sa.JSON),
    sa.Column("problem", sa.JSON),
    sa.Column("key", sa.String(64)),
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
    """Transactions of one database. Raises ConfigurationError for an address that is none."""

    def __init__(self, url: sa.URL) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        options: dict[str, Any] = (
            {"poolclass": NullPool, "connect_args": {"timeout": BUSY_S}}
            if self.is_sqlite
            else {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_S}}
        )
        try:
            self._engine = sa.create_engine(url, json_serializer=_json, **options)
        except ModuleNotFoundError as error:
            wanted = "PostgreSQL needs the extra `postgres`: pip install 'chapterhouse[postgres]'"
            raise ConfigurationError(f"{SETTING}: {wanted}.") from error
        if self.is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_connection)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The database that these settings name."""
        if settings.database_url:
            return cls(_url(settings.database_url))
        settings.database.parent.mkdir(parents=True, exist_ok=True)
        return cls(sa.URL.create("sqlite", database=str(settings.database)))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries. Raises DatabaseUnavailable."""
        with _answering(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, rolled back by an error. Raises DatabaseUnavailable.

        SQLite's takes the write lock at once, so that what it read stays true; PostgreSQL's locks the rows that it
        reads for update.
        """
        with _answering(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def close(self) -> None:
        """Close the connections that wait for further use."""
        self._engine.dispose()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        log.warning("the database does not answer: %s", error.orig)
        raise DatabaseUnavailable("The database of evaluations does not answer.") from error


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


def _prepare_connection(connection: Any, _record: object) -> None:
    """Readers beside a writer, a report on disk before it is answered, transactions begun by us."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
