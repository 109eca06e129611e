"""Whether a state directory is sound: its database, uploads without an evaluation, evaluations without their files."""

import time
from collections.abc import Iterator
from pathlib import Path

from service.errors import ConfigurationError, DatabaseUnavailable
from service.evaluation.queue.database import Database
from service.evaluation.queue.jobs import Job, JobKind, Jobs
from service.evaluation.queue.migrations import check_revision
from service.evaluation.references import References
from service.files import is_stale
from service.settings import Settings

BUSY_S = 2.0
"""How long another process may hold the database before that is a finding."""
AGAIN_S = 0.5
"""What looks like an orphan and is none any more after this was only just being accepted, or just done."""
FAULTS_SHOWN = 5
LOCKS = Path("/proc/locks")


def findings(settings: Settings) -> Iterator[str]:
    """What is wrong, each in a sentence with the way out; nothing where all is well. Raises ConfigurationError."""
    if not settings.state.is_dir():
        raise ConfigurationError(f"CHAPTERHOUSE_STATE_DIR: there is no {settings.state}.")
    database = Database.of(settings, busy_s=BUSY_S)
    if database.is_sqlite and not Path(database.name).is_file():
        yield from _folders_nobody_knows(settings)
        return
    faults = list(_faults_of(database))
    yield from faults
    if not faults:
        yield from _faults_of_files(settings, Jobs.of(settings, busy_s=BUSY_S))
    yield from _faults_of_references(settings)


def _faults_of(database: Database) -> Iterator[str]:
    try:
        if database.is_sqlite:
            yield from _damage(database)
        with database.writing() as connection:
            check_revision(connection)
    except ConfigurationError as error:
        yield f"{database.name}: {error}"
    except DatabaseUnavailable as error:
        yield f"{database.name}: {_reason(error)}. {_way_out(database, error)}"


def _damage(database: Database) -> Iterator[str]:
    with database.reading() as connection:
        faults = [row[0] for row in connection.exec_driver_sql(f"PRAGMA integrity_check({FAULTS_SHOWN})")]
    if faults != ["ok"]:
        yield f"{database.name}: {'; '.join(faults)}. {RESTORE.format(file=database.name)}"


RESTORE = (
    "Stop the service, then bring a backup back with `chapterhouse state restore`. Without one, move {file} away: the "
    "service begins an empty one, and what is lost are the evaluations; references and models are files of their own."
)


def _reason(error: DatabaseUnavailable) -> str:
    """What the database's own driver said."""
    cause = getattr(error.__cause__, "orig", None)
    return str(cause).strip() if cause is not None else error.detail.rstrip(".")


def _way_out(database: Database, error: DatabaseUnavailable) -> str:
    if "damaged" in error.detail:
        return RESTORE.format(file=database.name)
    if "locked" in error.detail:
        holders = ", ".join(map(str, _holders(Path(database.name)))) or "unknown here"
        return f"Another process holds it (process {holders}); what it does must end, or be ended."
    return "CHAPTERHOUSE_DATABASE_URL says where it is."


def _holders(file: Path) -> list[int]:
    """The processes that hold locks on a SQLite file, as far as this system tells."""
    if not LOCKS.exists():
        return []
    inodes = {path.stat().st_ino for path in file.parent.glob(f"{file.name}*")}
    fields = (line.split() for line in LOCKS.read_text("ascii").splitlines() if "->" not in line)
    return sorted({int(lock[4]) for lock in fields if int(lock[5].rpartition(":")[2]) in inodes and int(lock[4]) > 0})


def _faults_of_files(settings: Settings, jobs: Jobs) -> Iterator[str]:
    uploads = settings.state / "uploads"
    suspects = _orphans(uploads, jobs) | {job.id for job in _without_files(uploads, jobs)}
    if suspects:
        time.sleep(AGAIN_S)
    for name in sorted(_orphans(uploads, jobs) & suspects):
        yield f"{uploads / name}: an upload of no evaluation that is waiting; it may be deleted."
    for job in _without_files(uploads, jobs):
        if job.id in suspects:
            yield f"{uploads / job.id}: the upload of evaluation {job.id} is missing; cancel it, it can only fail."
    reports = settings.state / "reports"
    for name in sorted(_names(reports) - jobs.ids()):
        yield f"{reports / name}: figures of an evaluation that is not there; they may be deleted."


def _orphans(uploads: Path, jobs: Jobs) -> set[str]:
    found = {name for name in _names(uploads) if not name.startswith(".") or is_stale(uploads / name)}
    return found - jobs.ids("queued", "running")


def _without_files(uploads: Path, jobs: Jobs) -> list[Job]:
    """The evaluations of this state directory that wait or are worked on and whose upload is not whole."""
    needed = {JobKind.EVALUATION: "generated", JobKind.REFERENCE: "reference"}
    return [job for job in jobs.open_here() if not (uploads / job.id / needed[JobKind(job.kind)]).is_file()]


def _folders_nobody_knows(settings: Settings) -> Iterator[str]:
    for folder in (settings.state / "uploads", settings.state / "reports"):
        if _names(folder):
            yield (
                f"{folder}: it holds files of evaluations, and there is no database {settings.database}. Bring a "
                "backup back with `chapterhouse state restore`, or delete them."
            )


def _faults_of_references(settings: Settings) -> Iterator[str]:
    references = References(settings.reference_dirs[0])
    for name in references.names():
        try:
            references.get(name)
        except (ConfigurationError, OSError) as error:
            yield f"{error}. Store the reference {name} again."


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
