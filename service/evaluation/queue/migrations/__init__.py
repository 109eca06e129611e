"""The way from every older database to the tables of now: one Alembic revision a change, in `versions`.

The supervisor takes it once, before it starts anything, and so does `chapterhouse migrate`; who does so at the same
moment, on this machine or another, waits.
"""

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy.engine import Connection

from service.errors import ConfigurationError
from service.evaluation.queue.database import Database

BEFORE_ALEMBIC = "0001"
"""What a database holds that has evaluations and does not say of which revision."""
LOCK = 0x63686170746572
"""The number under which PostgreSQL's advisory lock is held."""

logging.getLogger("alembic").setLevel(logging.WARNING)  # its guesses about our transactions are wrong


def migrate(database: Database) -> list[str]:
    """Bring a database to the newest revision in one transaction; the revisions that were missing.

    Raises ConfigurationError for a database that a newer version of the service has changed, and DatabaseUnavailable.
    """
    scripts = _scripts()
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        context = MigrationContext.configure(connection)
        missing = _missing(scripts, context)
        with Operations.context(context):
            for script in reversed(missing):
                script.module.upgrade()
        context.stamp(scripts, "head")
    return [script.revision for script in reversed(missing)]


def check_revision(connection: Connection) -> None:
    """Raise ConfigurationError for a database that is not of this version's revision."""
    if missing := _missing(_scripts(), MigrationContext.configure(connection)):
        raise ConfigurationError(
            f"The database is older than this version of Chapterhouse and lacks revision {missing[0].revision}; "
            "`chapterhouse migrate` brings it up to date."
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def _missing(scripts: ScriptDirectory, context: MigrationContext) -> list[Script]:
    """The revisions that a database lacks, the newest first."""
    found = context.get_current_revision()
    if found is None and context.connection is not None and sa.inspect(context.connection).has_table("evaluations"):
        found = BEFORE_ALEMBIC
    try:
        return [script for script in scripts.iterate_revisions("head", found) if script.revision != found]
    except (CommandError, RevisionError) as error:
        raise ConfigurationError(
            f"The database is of revision {found}, which this version of Chapterhouse does not know. Use the newer "
            "version that wrote it, or another database."
        ) from error
