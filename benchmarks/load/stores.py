"""What several services share, on this machine: a PostgreSQL that can be restarted, and a store of objects like S3."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from benchmarks.load.machine import free_port

USER = "chapterhouse"
PATIENCE_S = 240.0
PAUSE_S = 0.02
BUCKET = "chapterhouse"


def why_no_postgres() -> str | None:
    """Why no PostgreSQL can be started here; None where one can."""
    if importlib.util.find_spec("psycopg") is None:
        return "the extra `postgres` is not installed"
    if _binaries() is None:
        return "PostgreSQL's initdb is not installed"
    if os.geteuid() == 0 and _servant() is None:
        return "PostgreSQL does not run as root, and there is no user `nobody`"
    return None


def why_no_objects() -> str | None:
    """Why no store of objects can be started here; None where one can."""
    missing = [package for package in ("moto", "s3fs") if importlib.util.find_spec(package) is None]
    return f"`make pods` installs {' and '.join(missing)}" if missing else None


class Postgres:
    """An empty PostgreSQL on a unix socket in a folder of its own, until the context ends."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        servant = _servant()
        if servant is not None:
            os.chown(self._folder, servant.pw_uid, servant.pw_gid)
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """What `CHAPTERHOUSE_DATABASE_URL` says."""
        return f"postgresql://{USER}@/postgres?host={self._folder}"

    def start(self) -> None:
        """Let it answer, with what it held before."""
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        program = [self._bin / "postgres", "-D", self._data, "-k", self._folder, *options]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(program, cwd=self._folder, **quiet, **_as_servant())  # type: ignore[call-overload]
        _wait(self._answers)

    def stop(self) -> None:
        """Break off whatever is asked of it; nothing answers any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def transactions(self) -> int:
        """How many there were in all."""
        import psycopg

        counted = "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database"
        with psycopg.connect(self.address) as connection:
            row = connection.execute(counted).fetchone()
        assert row is not None
        return int(row[0])

    @property
    def _bin(self) -> Path:
        found = _binaries()
        assert found is not None
        return found

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        words = [str(self._bin / program), *map(str, arguments)]
        subprocess.run(words, check=True, cwd=self._folder, capture_output=True, **_as_servant())  # type: ignore[call-overload]

    def _answers(self) -> bool:
        import psycopg

        assert self._process is not None
        assert self._process.poll() is None, "PostgreSQL ended"
        try:
            psycopg.connect(self.address).close()
        except psycopg.OperationalError:
            return False
        return True


class Objects:
    """Moto's server, which speaks like S3 and keeps its objects in memory, until the context ends."""

    def __init__(self) -> None:
        self._port = free_port()
        program = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        _wait(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)

    @property
    def address(self) -> str:
        """What `CHAPTERHOUSE_STORAGE_URL` says."""
        return f"s3://{BUCKET}/all"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find it and be let in."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "moto",
            "AWS_SECRET_ACCESS_KEY": "moto",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def halt(self) -> None:
        """Answer nobody for now."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer those who wait, and others."""
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "moto's server ended"
        made = urllib.request.Request(f"http://127.0.0.1:{self._port}/{BUCKET}", method="PUT")
        try:
            with urllib.request.urlopen(made, timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def _binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest first; Debian does not put it on the path."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = (file.parent for file in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def _servant() -> pwd.struct_passwd | None:
    """The user as whom PostgreSQL runs where this program is root's."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return None


def _as_servant() -> dict[str, object]:
    servant = _servant()
    return {} if servant is None else {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}


def _wait(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(PAUSE_S)
