"""`chapterhouse migrate`: the database brought to this version, before a service that needs it starts."""

import time
from typing import Annotated

import typer

from service.cli.reporting import fail_clearly, say
from service.settings import Settings, read_settings

AGAIN_S = 1.0


@fail_clearly
def migrate(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a database that does not answer.")] = 60.0,
) -> None:
    """Bring the database to this version; several may do so at once, and there is no harm in doing it again."""
    missing = _insist(read_settings(), wait)
    say(f"The database was brought to revision {missing[-1]}." if missing else "The database is of this version.")


def _insist(settings: Settings, wait_s: float) -> list[str]:
    from contextlib import closing

    from service.errors import ConfigurationError, DatabaseUnavailable
    from service.evaluation.queue.database import Database
    from service.evaluation.queue.migrations import migrate as bring_here

    until = time.monotonic() + wait_s
    with closing(Database.of(settings)) as database:
        while True:
            try:
                return bring_here(database)
            except DatabaseUnavailable as error:
                if time.monotonic() >= until or not database.may_come_back(error):
                    raise ConfigurationError(f"{error.detail} {database.name} is its address.") from error
            time.sleep(AGAIN_S)
