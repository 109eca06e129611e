"""Which version of a model is meant: `aliases.toml` beside its versions, a folder each, and what it says."""

import fcntl
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from service.errors import InvalidManifest, InvalidRequest, ModelNotFound, reason_of
from service.files import staged_beside, write_whole
from service.written import of_toml, read_whole

FILE = "aliases.toml"
STABLE, CANARY = "stable", "canary"
NOBODY = "none"
"""What `chapterhouse models alias` takes for no version at all, so that none can be called so."""
GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole part, fill [0, 1) evenly: so many of them lie below a share as it says."""
WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""What a version or an alias may be called, so that it never leads elsewhere."""


class Alias(BaseModel):
    """A name for a version, and the share of what names none that it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=f"^{WORD}$", description="The version that it means.")
    share: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        allow_inf_nan=False,
        description="The part of requests without a version that it answers; none of `stable`.",
    )


class Aliases(RootModel[dict[str, Alias]]):
    """The names of a model's versions. `stable` answers all that nobody else does."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _has_names_that_are_words(self) -> Self:
        for name in self.root:
            if not re.fullmatch(WORD, name):
                raise ValueError(f"{name[:40]!r} cannot be a name: letters, digits, '.', '_' and '-' make one")
        return self

    @model_validator(mode="after")
    def _has_one_that_answers(self) -> Self:
        if STABLE not in self.root:
            raise ValueError(f"there is no [{STABLE}], which answers where no version is named")
        if self.root[STABLE].share or math.fsum(alias.share for alias in self.root.values()) > 1.0:
            raise ValueError(f"shares are at most 1 together; {STABLE} has none, but whatever is left")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a file says. Raises InvalidManifest."""
        try:
            return cls.parse(read_whole(path))
        except (OSError, ValueError) as error:
            raise InvalidManifest.of_file(path, error) from error

    @classmethod
    def parse(cls, written: bytes) -> Self:
        """What the bytes of a file say. Raises ValueError."""
        return cls.model_validate(of_toml(written.decode("utf-8")))

    def write(self, path: Path) -> None:
        """Write a file that says so, whole or not at all."""
        rows = []
        for name, alias in sorted(self.root.items()):
            rows += [
                f'[{name if "." not in name else json.dumps(name)}]\nversion = "{alias.version}"',
                *([f"share = {alias.share!r}"] if alias.share else []),
                "",
            ]
        write_whole(path, "\n".join(rows).encode())

    def with_alias(self, name: str, version: str, share: float = 0.0) -> Self:
        """The same, this name for another version. Raises InvalidRequest where that cannot be."""
        return self._made({**self.model_dump(), name: {"version": version, "share": share}})

    def without(self, name: str) -> Self:
        """The same without a name. Raises InvalidRequest where that is `stable`."""
        return self._made({other: alias for other, alias in self.model_dump().items() if other != name})

    @classmethod
    def _made(cls, said: dict[str, Any]) -> Self:
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            raise InvalidRequest(f"Names of versions cannot be so: {reason_of(error)}.") from error

    @property
    def named(self) -> set[str]:
        """The versions that have a name."""
        return {alias.version for alias in self.root.values()}


class Versions:
    """The versions of one model: its folder, and what the aliases in it say now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, int, int] | None = None
        self._aliases: Aliases | None = None
        self._count = 0

    @staticmethod
    def has(folder: Path) -> bool:
        """Whether a model's folder holds versions."""
        return (folder / FILE).is_file()

    @property
    def aliases(self) -> Aliases:
        """What the file says; it is read again only when it is another one. Raises InvalidManifest."""
        path = self.folder / FILE
        try:
            found = path.stat()
        except OSError as error:
            raise InvalidManifest.of_file(path, error) from error
        seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        if self._aliases is None or seen != self._seen:
            self._aliases, self._seen = Aliases.read(path), seen
        return self._aliases

    def there(self) -> list[str]:
        """The versions that lie there, in alphabetical order."""
        names = (path.parent.name for path in self.folder.glob("*/model.toml"))
        return sorted(name for name in names if re.fullmatch(WORD, name))

    def resolve(self, asked: str = STABLE) -> str:
        """The version that an alias or a version's own name means. Raises ModelNotFound, InvalidManifest."""
        alias = self.aliases.root.get(asked)
        version = alias.version if alias else asked
        if re.fullmatch(WORD, version) and (self.folder / version / "model.toml").is_file():
            return version
        if alias is not None:
            raise InvalidManifest.of_file(self.folder / FILE, f"{asked} is {version}, and there is no such version.")
        names = ", ".join(f"{name} is {to.version}" for name, to in sorted(self.aliases.root.items()))
        raise ModelNotFound(
            f"{self.folder.name} has no version {asked[:40]!r} here; there are {', '.join(self.there())}, and {names}."
        )

    def name(self, alias: str, version: str, share: float = 0.0) -> set[str]:
        """Have an alias mean this version; of those that had names the ones without any. Raises InvalidRequest."""
        self.check_name(alias)
        return self._change(lambda known: known.with_alias(alias, self.resolve(version), share))

    def check_name(self, alias: str) -> None:
        """Raise InvalidRequest for a name that a version has itself: it would hide that one; and for that of none."""
        if alias == NOBODY:
            raise InvalidRequest(f"{NOBODY} stands for no version; choose another name.")
        if alias in self.there():
            raise InvalidRequest(f"{alias} is a version of {self.folder.name} itself; choose another name.")

    def forget(self, alias: str) -> set[str]:
        """Have an alias mean nothing; as above. Raises InvalidRequest for `stable`."""
        return self._change(lambda known: known.without(alias))

    def remove(self, asked: str) -> str:
        """Delete a version; which one it was. Raises ModelNotFound, and InvalidRequest for one that has a name."""
        with self._alone():
            version = self.resolve(asked)
            if names := [name for name, alias in self.aliases.root.items() if alias.version == version]:
                raise InvalidRequest(
                    f"{self.folder.name} {version} is {', '.join(names)}; name another version so first."
                )
            gone = staged_beside(self.folder / version)
            (self.folder / version).rename(gone)  # nobody sees half of it
        shutil.rmtree(gone)
        return version

    def _change(self, change: Callable[[Aliases], Aliases]) -> set[str]:
        """Write what a change makes of the aliases."""
        with self._alone():
            before = Aliases.read(self.folder / FILE)
            after = change(before)
            after.write(self.folder / FILE)
        return before.named - after.named

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While versions and their names are changed: one process does so at a time."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def share_out(self) -> str:
        """The alias that answers this time where none was asked for: each its share, evenly spread; else `stable`."""
        aliases = self.aliases.root
        if len(aliases) == 1:
            return STABLE
        self._count += 1
        place = (self._count * GOLDEN) % 1.0
        for name, alias in sorted(aliases.items()):
            if place < alias.share:
                return name
            place -= alias.share
        return STABLE
