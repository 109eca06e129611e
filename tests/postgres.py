"""A PostgreSQL server of the tests' own, wherever its binaries are found."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from benchmarks.load.stores import Postgres, why_no_postgres

why_not = why_no_postgres


@contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """The address of an empty database, for as long as the context lasts."""
    with Postgres() as server:
        yield sa.make_url(server.address).set(drivername="postgresql+psycopg")


def empty(url: sa.URL) -> None:
    """Drop everything that a database holds."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
