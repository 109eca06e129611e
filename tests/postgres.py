"""A PostgreSQL server of the tests' own, on a unix socket in a temporary directory, wherever its binaries are found."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from waiting import PATIENCE_S, until

USER = "chapterhouse"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest first; Debian does not put it on the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = (file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def why_not() -> str | None:
    """Why no server can be started here; None where one can."""
    try:
        import psycopg  # noqa: F401 - asked whether it is there
    except ImportError:
        return "the extra `postgres` is not installed"
    if binaries() is None:
        return "PostgreSQL's initdb is not installed"
    if os.geteuid() == 0 and _servant() is None:
        return "PostgreSQL does not run as root, and there is no user `nobody`"
    return None


@contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """The address of an empty database, for as long as the context lasts."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    process = None
    try:
        bin_dir, servant = binaries(), _servant()
        assert bin_dir is not None
        user = {} if servant is None else {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}
        if servant is not None:
            os.chown(folder, servant.pw_uid, servant.pw_gid)
        data = folder / "data"
        made = [bin_dir / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]
        subprocess.run(made, check=True, cwd=folder, capture_output=True, **user)  # type: ignore[call-overload]
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        process = subprocess.Popen(  # type: ignore[call-overload]
            [bin_dir / "postgres", "-D", data, "-k", folder, *options],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,
        )
        url = sa.URL.create("postgresql+psycopg", USER, database="postgres", query={"host": str(folder)})
        until(lambda: _answers(url, process))
        yield url
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # nothing of it is to be kept
            process.wait(PATIENCE_S)
        shutil.rmtree(folder, ignore_errors=True)


def empty(url: sa.URL) -> None:
    """Drop everything that a database holds."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()


def _servant() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return None


def _answers(url: sa.URL, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "PostgreSQL ended"
    engine = sa.create_engine(url)
    try:
        engine.connect().close()
    except sa.exc.OperationalError:
        return False
    finally:
        engine.dispose()
    return True
