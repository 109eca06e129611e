"""The database brought to this version before anything is started or, where it does not answer then, once it does."""

import asyncio
import logging

from service.errors import ConfigurationError, DatabaseUnavailable
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.processes.tokens import prepare_keys
from service.settings import Settings

log = logging.getLogger(__name__)

BUSY_S = 2.0
"""How long another process may hold the database before the service starts without it."""
AGAIN_S = 10.0


class Migration:
    """One database, on its way to this version."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.done = False

    def try_once(self) -> None:
        """Migrate, unless the database is damaged, locked or away. Raises ConfigurationError where it never will be."""
        database = Database.of(self._settings, busy_s=BUSY_S)
        try:
            if missing := migrate(database):
                log.info("the database is now of revision %s", missing[-1])
            prepare_keys(self._settings, database)
            self.done = True
        except DatabaseUnavailable as error:
            if not database.may_come_back(error):
                raise ConfigurationError(f"{error.detail} CHAPTERHOUSE_DATABASE_URL says where it is.") from error
            log.error("%s Evaluations are answered with 503 until it is well; the rest goes on.", error.detail)  # noqa: TRY400
        finally:
            database.close()

    async def insist(self) -> None:
        """Try again until it is done. Raises ConfigurationError where it never will be."""
        while not self.done:
            await asyncio.sleep(AGAIN_S)
            await asyncio.to_thread(self.try_once)
