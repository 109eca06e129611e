"""References in a storage that services share: a version is copied onto this machine when it is first asked for."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from service.evaluation.references import SUFFIX, Reference, References, pack
from service.files import STALE_S, written_whole
from service.settings import Settings
from service.storage.storage import Storage

REFERENCES = "references"


class SharedReferences(References):
    """The references of a storage, which win, and the shipped ones. Every method raises StorageUnavailable.

    `copies` has a folder for each version: whoever reads one has it whole, whatever is stored meanwhile.
    """

    def __init__(self, storage: Storage, copies: Path, shipped: Path) -> None:
        super().__init__(copies, shipped)
        self._storage = storage
        self._copies = copies

    def names(self) -> list[str]:
        """Every reference, in alphabetical order."""
        keys = (entry.key.removeprefix(f"{REFERENCES}/") for entry in self._storage.list(REFERENCES))
        stored = {key.removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX) and not key.startswith(".")}
        return sorted(stored.union(super().names()))

    def stage(self, reference: Reference) -> Callable[[], object]:
        """A reference made ready, and what puts it into the storage at once."""
        key, data = _key(reference.description.name), pack(reference)
        return lambda: self._storage.write(key, data)

    def sweep(self) -> None:
        """Delete the copies that are of no use any more."""
        for copy in self._copies.glob(f"*/*{SUFFIX}"):
            with suppress(FileNotFoundError, OSError):
                is_old = time.time() - copy.stat().st_mtime > STALE_S
                if is_old and self._storage.version(_key(copy.name.removesuffix(SUFFIX))) != copy.parent.name:
                    copy.unlink(missing_ok=True)
                    copy.parent.rmdir()

    def _remove(self, path: Path) -> None:
        self._storage.delete(_key(path.name.removesuffix(SUFFIX)))

    def _path(self, name: str) -> Path | None:
        key = _key(name)
        while (version := self._storage.version(key)) is not None:
            path = self._copies / version / f"{name}{SUFFIX}"
            if path.is_file():
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError), written_whole(path) as file:  # it is replaced or removed meanwhile
                for piece in self._storage.stream(key):
                    file.write(piece)
                if self._storage.version(key) != version:
                    raise FileNotFoundError
        return super()._path(name)


def references_of(settings: Settings, storage: Storage) -> References:
    """The references that these settings name: those of the state directory or of the storage, and the shipped ones."""
    own, shipped = settings.reference_dirs
    return SharedReferences(storage, settings.state / "copies", shipped) if storage.name else References(own, shipped)


def _key(name: str) -> str:
    return f"{REFERENCES}/{name}{SUFFIX}"
