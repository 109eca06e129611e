from pathlib import Path

import pytest
import sqlalchemy as sa
from cli.conftest import Run

from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Jobs
from service.settings import Settings


def test_a_state_directory_is_checked_backed_up_and_brought_back(
    run: Run, local_settings: Settings, tmp_path: Path
) -> None:
    assert f"{local_settings.state} is sound" in run("state", "check").output
    Jobs.of(local_settings).accept("a", {})
    Jobs.of(local_settings).remove("a")
    file = tmp_path / "state.tar"
    assert "bytes" in run("state", "backup", str(file)).output
    refused = run("state", "restore", str(file))
    assert (refused.exit_code, "is not empty" in refused.output) == (2, True)
    assert "what was there is in" in run("state", "restore", str(file), "--replace").output
    assert Jobs.of(local_settings).get("a").status == "cancelled"


def test_what_is_wrong_is_said_and_is_the_exit_status(run: Run, local_settings: Settings) -> None:
    local_settings.database.write_bytes(b"this was a database once" * 400)
    told = run("state", "check")
    assert told.exit_code == 2
    assert told.output.startswith(f"{local_settings.database}: file is not a database.")


@pytest.mark.parametrize("command", [("backup",), ("check",)])
def test_a_database_of_a_newer_version_is_refused_in_one_line(
    run: Run, local_settings: Settings, tmp_path: Path, command: tuple[str, ...]
) -> None:
    with Database.of(local_settings).writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    told = run("state", *command, *([str(tmp_path / "x.tar")] if command == ("backup",) else []))
    assert told.exit_code == 2
    assert len(told.output.splitlines()) == 1
    assert "revision 9999" in told.output
