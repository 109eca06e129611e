"""A directory of images as the one file that an evaluation reads."""

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from service.errors import InvalidRequest

EPOCH = (1980, 1, 1, 0, 0, 0)


def as_file(path: Path, target: Path) -> Path:
    """The file itself, or for a directory the uncompressed zip `target` of all that lies in it, sorted by name.

    Hidden files are left out, links are followed. Raises InvalidRequest where there is nothing, for a link that leads
    nowhere or back to where it lies, and for what is no file.
    """
    if not path.is_dir():
        if not path.exists():
            raise InvalidRequest(f"{path} does not exist.")
        return path
    files = {file.relative_to(path).as_posix(): file for file in _files(path, ())}
    if not files:
        raise InvalidRequest(f"{path} holds no files.")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(_readable(name), EPOCH)
            member.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, archive.open(member, "w") as sink:
                shutil.copyfileobj(source, sink)
    return target


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Every file below a folder that is not hidden; `above` are the real folders that led here."""
    here = folder.resolve()
    if here in above:
        raise InvalidRequest(f"{_readable(str(folder))} is a link to a folder that it lies in.")
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(folder / entry.name, (*above, here))
        elif entry.is_file():
            yield folder / entry.name
        else:
            what = "is a link that leads nowhere" if entry.is_symlink() else "is no file"
            raise InvalidRequest(f"{_readable(str(folder / entry.name))} {what}.")


def _readable(name: str) -> str:
    """A name that can be written as UTF-8: bytes that are none stand as their escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
