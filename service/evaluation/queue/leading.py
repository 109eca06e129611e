"""Who of all services that share a database cares for what is everybody's: one of them, for as long as it lives."""

import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa

from service.errors import DatabaseUnavailable
from service.evaluation.queue.database import Database

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)


class Lead:
    """The lead of the services of one PostgreSQL; a SQLite file has nobody else to lead."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: Connection | None = None

    def is_ours(self) -> bool:
        """Whether this process leads: the first that asked, until its connection ends. Raises DatabaseUnavailable."""
        if self._database.is_sqlite:
            return True
        if self._held is None:
            self._held = self._database.lead()
            if self._held is not None:
                log.info("this service now cares for what all services of the database share")
            return self._held is not None
        try:
            with self._database.answering():
                self._held.exec_driver_sql("SELECT 1")
        except DatabaseUnavailable:
            self.resign()
            raise
        return True

    def resign(self) -> None:
        """Let another process lead."""
        held, self._held = self._held, None
        if held is not None:
            try:
                with self._database.answering():
                    held.execute(sa.select(sa.func.pg_advisory_unlock_all()))
            except DatabaseUnavailable:
                held.invalidate()  # with its end the server lets go of it
            held.close()
