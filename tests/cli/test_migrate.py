import sqlalchemy as sa
from cli.conftest import Run

from service.evaluation.queue.database import Database
from service.settings import Settings


def test_a_database_is_brought_to_this_version_once(run: Run, local_settings: Settings) -> None:
    local_settings.database.unlink(missing_ok=True)
    first = run("migrate")
    assert (first.exit_code, first.output) == (0, "The database was brought to revision 0006.\n")
    assert run("migrate").output == "The database is of this version.\n"


def test_what_a_newer_version_wrote_is_left_alone(run: Run, local_settings: Settings) -> None:
    run("migrate")
    database = Database.of(local_settings)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    refused = run("migrate")
    assert (refused.exit_code, "revision 9999" in refused.output) == (2, True)


def test_a_database_that_stays_away_is_named(run: Run, local_settings: Settings) -> None:
    local_settings.database.write_bytes(b"this was a database once" * 400)
    refused = run("migrate", "--wait", "0")
    assert refused.exit_code == 2
    assert f"{local_settings.database} is its address" in refused.output
