"""API keys as rows of a database: what each is good for, and until when. Of the key itself only a hash is kept."""

import json
import re
import secrets
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from service.errors import ConfigurationError
from service.evaluation.queue.database import BUSY_S, KEYS, Database
from service.files import write_private
from service.settings import Settings

PREFIX = "ch_"
"""How a key begins, so that whoever finds one knows what it is."""
NAME = re.compile("[A-Za-z][A-Za-z0-9_-]{0,62}")
"""What a key may be called: never like an address, by which callers without a key go."""
RESERVED = ("local",)
"""What the token of this machine is called."""

_COLUMNS = KEYS.c


class KeyScope(StrEnum):
    """What a key may be made for."""

    INFER = "infer"
    EVALUATE = "evaluate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """One key, as its row stood when it was read; times are seconds since 1970."""

    name: str
    digest: str
    """The sha256 of the key, in hexadecimal."""
    scopes: frozenset[str]
    created: float
    expires: float | None = None
    revoked: float | None = None
    rate: float | None = None
    """Requests a second, at most."""
    concurrency: int | None = None
    """Requests under way at any time, at most."""

    @property
    def is_limited(self) -> bool:
        """Whether its requests are counted."""
        return self.rate is not None or self.concurrency is not None

    def standing(self, now: float) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def as_json(self) -> dict[str, Any]:
        """The key as JSON knows it."""
        return {**asdict(self), "scopes": sorted(self.scopes)}

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Self:
        """The key that a document describes. Raises TypeError and KeyError for another."""
        return cls(**{**document, "scopes": frozenset(document["scopes"])})


def digest_of(token: bytes) -> str:
    """What is kept of a key."""
    return sha256(token).hexdigest()


class Keys:
    """The table of keys. Every method is one transaction, and raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, settings: Settings, *, busy_s: float = BUSY_S) -> Self:
        """The keys of these settings' database."""
        return cls(Database.of(settings, busy_s=busy_s))

    def create(
        self,
        name: str,
        scopes: Collection[KeyScope],
        *,
        expires: float | None = None,
        rate: float | None = None,
        concurrency: int | None = None,
    ) -> str:
        """Add a key and return it: nobody can read it again. One of this name that is no longer valid is replaced.

        Raises ConfigurationError for a name that cannot be, and for that of a valid key.
        """
        if not NAME.fullmatch(name) or name in RESERVED:
            raise ConfigurationError(
                f"A key cannot be called {name!r}: use at most 63 letters, digits, - and _, beginning with a letter"
                f"{', and not ' + name if name in RESERVED else ''}."
            )
        token = f"{PREFIX}{secrets.token_urlsafe(32)}"
        limits = {"expires": expires, "rate": rate, "concurrency": concurrency}
        row = {"name": name, "digest": digest_of(token.encode()), "scopes": ",".join(sorted(scopes)), **limits}
        taken = ConfigurationError(f"There is a key {name!r} already; revoke it first, or choose another name.")
        with self._database.writing() as connection:
            there = connection.execute(sa.select(KEYS).where(_COLUMNS.name == name)).mappings().first()
            if there is not None and _key(dict(there)).standing(time.time()) == "valid":
                raise taken
            connection.execute(sa.delete(KEYS).where(_COLUMNS.name == name))
            try:
                connection.execute(KEYS.insert().values(**row, created=time.time()))
            except sa.exc.IntegrityError as error:
                raise taken from error
        return token

    def all(self) -> list[Key]:
        """Every key there is or was, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(KEYS).order_by(_COLUMNS.name)).mappings()
            return [_key(dict(row)) for row in rows]

    def revoke(self, name: str) -> None:
        """Let a key be valid no longer. Raises ConfigurationError where there is none of this name."""
        self._change(name, sa.update(KEYS).values(revoked=sa.func.coalesce(_COLUMNS.revoked, time.time())))

    def forget(self, name: str) -> None:
        """Delete a key's row, too: where none is left, nobody is asked for a key. Raises ConfigurationError."""
        self._change(name, sa.delete(KEYS))

    def _change(self, name: str, statement: sa.Update | sa.Delete) -> None:
        with self._database.writing() as connection:
            if connection.execute(statement.where(_COLUMNS.name == name)).rowcount == 0:
                raise ConfigurationError(f"There is no key {name[:100]!r}; `chapterhouse keys list` names them.")


def _key(row: dict[str, Any]) -> Key:
    return Key.of_json({**row, "scopes": row["scopes"].split(",")})


def copy_of(settings: Settings) -> Path:
    """Where a copy of the keys lies for processes that start while the database is away."""
    return settings.state / "keys.json"


def write_copy(path: Path, keys: Collection[Key]) -> None:
    """Keep a copy of the keys. Raises OSError."""
    write_private(path, json.dumps([key.as_json() for key in keys]).encode())


def read_copy(path: Path) -> list[Key] | None:
    """The keys of the last copy; None where there is none that can be read."""
    try:
        return [Key.of_json(document) for document in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError):
        return None
