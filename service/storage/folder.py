"""A folder as a storage: the state directory, or one that several machines have mounted."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from service.files import copy_whole, files_below, write_whole
from service.storage.storage import PIECE_BYTES, Entry, checked


class Folder:
    """A folder; with a `name`, one that services on other machines see as well."""

    def __init__(self, root: Path, *, name: str = "") -> None:
        self.name = name
        self._root = root

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of a file. Raises OSError."""
        copy_whole(source, self._made(key))

    def write(self, key: str, data: bytes) -> None:
        """Keep these bytes. Raises OSError."""
        write_whole(self._made(key), data)

    def get(self, key: str) -> bytes:
        """What was kept. Raises FileNotFoundError."""
        return self._path(key).read_bytes()

    def stream(self, key: str) -> Iterator[bytes]:
        """The same in pieces. Raises FileNotFoundError."""
        with self._path(key).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def list(self, prefix: str) -> Iterator[Entry]:
        """Every file below a folder; the names of those that are still being written begin with a dot."""
        for file in files_below(self._path(prefix)):
            with suppress(FileNotFoundError):
                known = file.stat()
                yield Entry(file.relative_to(self._root).as_posix(), known.st_size, known.st_mtime)

    def version(self, key: str) -> str | None:
        """A word that changes with the file; None where there is none."""
        try:
            known = self._path(key).stat()
        except FileNotFoundError:
            return None
        return f"{known.st_ino:x}-{known.st_mtime_ns:x}-{known.st_size:x}"

    def delete(self, key: str) -> None:
        """Delete a file, or a folder with all that is in it."""
        path = self._path(key)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    def _made(self, key: str) -> Path:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
