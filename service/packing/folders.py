"""A directory of images as the one file that an evaluation reads."""

import shutil
import zipfile
from pathlib import Path

from service.errors import InvalidRequest

EPOCH = (1980, 1, 1, 0, 0, 0)


def as_file(path: Path, target: Path) -> Path:
    """The file itself, or for a directory the uncompressed zip `target` of all that lies in it, sorted.

    Hidden files are left out. Raises InvalidRequest where there is nothing.
    """
    if not path.is_dir():
        if not path.exists():
            raise InvalidRequest(f"{path} does not exist.")
        return path
    names = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    if not shown:
        raise InvalidRequest(f"{path} holds no files.")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in shown:
            member = zipfile.ZipInfo(name.as_posix(), EPOCH)
            member.file_size = (path / name).stat().st_size
            with (path / name).open("rb") as source, archive.open(member, "w") as sink:
                shutil.copyfileobj(source, sink)
    return target
