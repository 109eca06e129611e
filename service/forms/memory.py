"""What engines remember of the forms of a classifier on this machine: how fast each is, and which must not serve.

All engines of a service read one file a model and kind of machine, so that all of them, also after a restart, serve the
same form. Whoever measures holds its lock.
"""

import fcntl
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service.exactness import FormName
from service.files import write_whole
from service.forms.form import Place
from service.forms.registry import possible
from service.machine import installed, processor
from service.store import Model

DEATHS = 2
"""One process may be killed for another reason."""


class Tried(BaseModel):
    """What is known of one form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: dict[int, float] = {}
    """By number of rows: how long a forward pass takes."""
    refused: str = ""
    """Why it must not serve."""


class Memory(BaseModel):
    """What is known of all forms of one model in one version, on one kind of machine, by one set of packages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    sha256: str
    machine: str
    threads: int
    packages: dict[str, str]
    forms: dict[FormName, Tried] = {}
    trying: tuple[FormName, ...] = ()
    """What has begun and not ended: found so by another process, it may be what the first one died of."""

    @classmethod
    def of(cls, model: Model, place: Place) -> Self:
        """That nothing is known yet."""
        packages = sorted({package for kind in possible(place).values() for package in kind.versions})
        return cls(
            model=model.id,
            sha256=model.weights_sha256 or "",
            machine=machine_of(place.device),
            threads=place.threads,
            packages={package: installed(package) or "unknown" for package in packages},
        )

    @property
    def name(self) -> str:
        """What its file is called: the model, and a digest of all that must be the same for it to hold."""
        kept = self.model_dump_json(exclude={"forms", "trying"})
        return f"{self.model}.{hashlib.sha256(kept.encode()).hexdigest()[:16]}.json"

    def lacks(self, names: Iterable[FormName]) -> list[FormName]:
        """Those of which nothing is known yet."""
        return [name for name in names if name not in self.forms]

    def begun(self, name: FormName) -> Self:
        """The same, and that a form is being tried."""
        return self.model_copy(update={"trying": (*self.trying, name)})

    def ended(self, name: FormName, tried: Tried | None = None) -> Self:
        """The same, and what came of trying a form; None where that was broken off."""
        found = self.forms if tried is None else {**self.forms, name: tried}
        return self.model_copy(
            update={"forms": found, "trying": tuple(other for other in self.trying if other != name)}
        )

    def without_deadly(self) -> Self:
        """The same, with those refused that two processes died of."""
        known = self
        for name in {name for name in self.trying if self.trying.count(name) >= DEATHS}:
            known = known.ended(name, Tried(refused="the process that tried it died, more than once"))
        return known


@cache
def machine_of(device: str) -> str:
    """What a device is, in words that are the same for its equals."""
    if device == "cpu":
        return processor()
    import torch

    return torch.cuda.get_device_name(device)


class Shelf:
    """The folder of these files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, model: Model, place: Place) -> Memory:
        """What is remembered; what cannot be read is as if nothing were."""
        fresh = Memory.of(model, place)
        try:
            found = Memory.model_validate_json((self._folder / fresh.name).read_bytes())
        except (OSError, ValidationError):
            return fresh
        return found if found.name == fresh.name else fresh

    def write(self, memory: Memory) -> None:
        """Remember. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / memory.name, memory.model_dump_json(indent=1).encode())

    @contextmanager
    def held(self, memory: Memory) -> Iterator[bool]:
        """Whether this process is the only one to measure this model now; it goes with the process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{memory.name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
