"""A disk that notes what reached it, and what readers saw at that moment."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Disk:
    """Stands for `os.fsync` while one file is replaced."""

    shown: Path
    files: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """The content of each file that was brought to the disk, and what a reader of `shown` saw then."""
    folders: list[tuple[Path, bytes | None]] = field(default_factory=list)
    """Each folder whose names were brought to the disk, and what a reader of `shown` saw then."""

    def fsync(self, descriptor: int) -> None:
        """Note what would be brought to the disk."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen = self.shown.read_bytes() if self.shown.exists() else None
        if path.is_dir():
            self.folders.append((path, seen))
        else:
            self.files.append((path.read_bytes(), seen))
