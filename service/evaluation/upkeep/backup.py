"""A copy of a state directory in one file, made while the service runs, and the way back from it.

The database is copied as rows, so that what was in PostgreSQL can be brought back into SQLite, and the other way round.
"""

import json
import tarfile
import tempfile
import time
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from service import __version__
from service.errors import ConfigurationError
from service.evaluation.queue.database import EVALUATIONS, METADATA, Database
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.migrations import check_revision, migrate
from service.evaluation.queue.uploads import ATTEMPT
from service.evaluation.queue.workers import Workers
from service.files import written_whole
from service.settings import Settings

MANIFEST = "backup.json"
ROWS = "rows.db"
FORMAT = 1
PASSING = frozenset({"copies", "evaluators", "tidying", "tokens", "uploads"})
"""What is not copied as it lies there: it is of processes that run, a copy, secret, or taken with its evaluation."""
MODELS = frozenset({"models", "twins"})
REPLACED, RESTORING = "replaced-", ".restoring-"
CHUNK = 500
ROUNDS = 5
"""How often the rows are read again because an evaluation ended while its upload was being copied."""


def back_up(settings: Settings, file: Path, *, models: bool = True) -> int:
    """Copy the state directory into `file`, whole or not at all; the bytes that it takes.

    Uploads are copied for the evaluations that wait or are worked on in the moment whose rows are kept. Raises
    ConfigurationError, DatabaseUnavailable and OSError.
    """
    state, database = settings.state, Database.of(settings)
    file_name = Path(database.name).name if database.is_sqlite else settings.database.name
    own = {file_name + ending for ending in ("", "-wal", "-shm", "-journal")}
    left_out = own | PASSING | (frozenset() if models else MODELS)
    mode = "w:gz" if file.name.endswith((".gz", ".tgz")) else "w"
    with (
        closing(database),
        tempfile.TemporaryDirectory(prefix="chapterhouse-") as folder,
        written_whole(file) as out,
        tarfile.open(fileobj=out, mode=mode, dereference=True) as archive,  # type: ignore[call-overload]
    ):
        for path in sorted(state.iterdir()) if state.is_dir() else ():
            if path.name not in left_out and not path.name.startswith((".", REPLACED)):
                _add(archive, path, path.name)
        rows = _rows_with_uploads(settings, database, Path(folder) / ROWS, archive)
        archive.add(rows, ROWS)
        told = Path(folder) / MANIFEST
        told.write_text(json.dumps({"format": FORMAT, "version": __version__, "made": time.time()}), "utf-8")
        archive.add(told, MANIFEST)
    return file.stat().st_size


def _rows_with_uploads(settings: Settings, database: Database, rows: Path, archive: tarfile.TarFile) -> Path:
    """The rows in a file of their own, and in the archive every upload that they need."""
    jobs, added = Jobs.of(settings), set[str]()
    for _ in range(ROUNDS):
        rows.unlink(missing_ok=True)
        with closing(Database(sa.URL.create("sqlite", database=str(rows)))) as kept:
            migrate(kept)
            _copy_rows(database, kept)
            wanted = {job.id for job in Jobs(kept, home=jobs.home).open_here()}
        for name in sorted(wanted - added):
            if _add(archive, settings.state / "uploads" / name, f"uploads/{name}"):
                added.add(name)
        if wanted <= added:
            return rows
    missing = ", ".join(sorted(wanted - added))
    raise ConfigurationError(f"Uploads are missing: {missing}; `chapterhouse state check` says more.")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> bool:
    """Put a file or a folder into the archive; False where it, or something in it, was removed meanwhile."""
    try:
        archive.add(path, name, recursive=False)
        for inside in sorted(path.iterdir()) if path.is_dir() else ():
            if not inside.name.startswith((".", ATTEMPT)):
                _add(archive, inside, f"{name}/{inside.name}")
    except FileNotFoundError:
        return False
    return path.exists()


def _copy_rows(source: Database, target: Database) -> None:
    """Copy every table, as it is at one moment."""
    with source.snapshot() as reading, target.writing() as writing:
        check_revision(reading)
        for table in METADATA.sorted_tables:
            for chunk in reading.execute(sa.select(table)).mappings().partitions(CHUNK):
                writing.execute(table.insert(), [dict(row) for row in chunk])


def restore(settings: Settings, file: Path, *, replace: bool = False) -> Path | None:
    """Bring a state directory back as it was; where what was there before is kept, if `replace` let it be moved.

    Nothing is changed unless the whole backup can be read. Raises ConfigurationError, DatabaseUnavailable, OSError.
    """
    state = settings.state
    _check_nobody_works(state)
    present = _present(state)
    if present and not replace:
        raise ConfigurationError(f"{state} is not empty; with --replace what it holds is moved to a folder in it.")
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=RESTORING, dir=state) as staged:
        folder = Path(staged)
        _unpack(file, folder)
        with closing(Database(sa.URL.create("sqlite", database=str(folder / ROWS)))) as rows:
            migrate(rows)
            _check_whole(rows, file)
            if settings.database_url:
                _bring_rows(rows, Database.of(settings), replace=replace)
        aside = state / time.strftime(f"{REPLACED}%Y%m%d-%H%M%S") if present else None
        if aside is not None:
            aside.mkdir()
            for path in present:
                path.rename(aside / path.name)
        (folder / MANIFEST).unlink()
        if settings.database_url:
            (folder / ROWS).unlink()
        else:
            (folder / ROWS).rename(folder / settings.database.name)
        for path in folder.iterdir():
            if not path.name.startswith(ROWS):
                path.rename(state / path.name)
    return aside


def _present(state: Path) -> list[Path]:
    if not state.is_dir():
        return []
    return [path for path in state.iterdir() if not path.name.startswith((RESTORING, REPLACED))]


def _check_nobody_works(state: Path) -> None:
    workers = Workers(state)
    names = [path.name for path in (state / "evaluators").glob("*")]
    if any(not workers.is_gone(name) for name in names):
        raise ConfigurationError(f"A service works in {state}; stop it first.")


def _unpack(file: Path, folder: Path) -> None:
    """Unpack a backup, and nothing that is none. Raises ConfigurationError."""
    if not hasattr(tarfile, "data_filter"):
        raise ConfigurationError("Unpacking a backup needs Python 3.11.4 or later.")
    try:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
        told = json.loads((folder / MANIFEST).read_text("utf-8"))
        if told["format"] != FORMAT or not (folder / ROWS).is_file():
            raise ConfigurationError(f"{file} is a backup of a version that this one does not know: {told['version']}.")
    except FileNotFoundError as error:
        if not file.exists():
            raise
        raise ConfigurationError(f"{file} is no backup of a state directory.") from error
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file} is no backup of a state directory, or is damaged.") from error


def _check_whole(rows: Database, file: Path) -> None:
    with rows.reading() as connection:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if found != "ok":
        raise ConfigurationError(f"{file}: its rows are damaged: {found}.")


def _bring_rows(rows: Database, target: Database, *, replace: bool) -> None:
    """Put the rows into a database that is not a file of the state directory; others than these stay."""
    with closing(target):
        migrate(target)
        with rows.reading() as reading, target.writing() as writing:
            if not replace and writing.execute(sa.select(EVALUATIONS.c.id).limit(1)).first() is not None:
                raise ConfigurationError(f"{target.name} holds evaluations; with --replace they stay, beside these.")
            for table in METADATA.sorted_tables:
                for chunk in reading.execute(sa.select(table)).mappings().partitions(CHUNK):
                    _put(writing, table, [dict(row) for row in chunk])


def _put(writing: Connection, table: sa.Table, chunk: list[dict[str, object]]) -> None:
    """Insert rows in the place of those of the same key."""
    [key] = table.primary_key.columns
    writing.execute(sa.delete(table).where(key.in_([row[key.name] for row in chunk])))
    writing.execute(table.insert(), chunk)
