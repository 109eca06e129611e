"""Who gets in: every request is placed, and checked against the table of scopes, before anything of its body is read.

What stands here is the same for the paths that the gate answers itself and for all others. It waits for nothing but
keys that are too old to be believed.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.types import Scope

from service.api.access.audit import Audit
from service.api.access.callers import LOCAL, NOTED, Caller
from service.api.access.keyring import Keyring
from service.api.access.limits import Limits
from service.api.access.needs import INDEX, INFER, SAFE_METHODS, Need, need_of
from service.api.access.proxies import Headers, Place, Proxies
from service.api.access.sites import Sites
from service.errors import Forbidden, KeyNeeded
from service.evaluation.queue.keys import Key, KeyScope, digest_of
from service.settings import Settings

ALL_SCOPES = frozenset(map(str, KeyScope))
KEYLESS = frozenset({str(KeyScope.INFER), str(KeyScope.EVALUATE)})
"""What anybody may do while there are no keys."""
BEARER = b"bearer "

Leave = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Guard:
    """What it takes to let a caller in."""

    settings: Settings
    proxies: Proxies
    sites: Sites
    keyring: Keyring
    limits: Limits
    audit: Audit
    local_digest: str
    """The hash of this machine's own token; empty where there is none."""

    @classmethod
    def of(cls, settings: Settings, *, local_token: str = "", limits_dir: Path | None = None) -> Self:
        """The guard of one front."""
        return cls(
            settings,
            Proxies.of(settings),
            Sites.of(settings),
            Keyring.of(settings),
            Limits(limits_dir),
            Audit(),
            digest_of(local_token.encode()) if local_token else "",
        )

    def place(self, scope: Scope, headers: Headers) -> Place:
        """Where a request comes from and what it is for; the scope is told, so that redirects keep the prefix."""
        place = self.proxies.place(scope, headers)
        if place.prefix:
            scope["root_path"], scope["path"] = place.prefix, place.prefix + place.path
        return place

    async def admit(self, method: str, place: Place, scope: Scope, headers: Headers) -> Leave | None:
        """Let a request in, note whose it is, and return what is to be called when it is over.

        Raises KeyNeeded, Forbidden, LimitReached, and DatabaseUnavailable where no keys are known yet.
        """
        need = need_of(method, place.path)
        if need.is_open and method in SAFE_METHODS:
            return None
        self._check_site(method, place, headers)
        if self.keyring.is_due():
            await self.keyring.read_again()
        key = self._recognise(method, need, place, scope, headers)
        return None if key is None else self.limits.enter(key)

    def admit_at_once(self, method: str, place: Place, scope: Scope, headers: Headers) -> bool:
        """The same for a request that nothing has to be waited for or counted; False for any other one.

        Raises KeyNeeded, Forbidden.
        """
        self._check_site(method, place, headers)
        return self.admit_again(method, place, scope, headers)

    def admit_again(self, method: str, place: Place, scope: Scope, headers: Headers) -> bool:
        """The same for a request of a head that was let in from this place before: only what keys allow may change."""
        if self.keyring.is_due():
            return False
        key = self._recognise(method, need_of(method, place.path), place, scope, headers)
        return key is None or not key.is_limited

    def _check_site(self, method: str, place: Place, headers: Headers) -> None:
        self.sites.check_host(headers)
        if method not in SAFE_METHODS:
            self.sites.check_origin(headers, place)

    def _recognise(self, method: str, need: Need, place: Place, scope: Scope, headers: Headers) -> Key | None:
        """Note whose a request is, and return the key if it bears one. Raises KeyNeeded, Forbidden."""
        token = _token_of(headers)
        key = None if token is None else self.keyring.find(token)
        caller = self._caller(key, token, place.caller)
        scope["state"][NOTED] = caller
        self._check(method, need, caller, token)
        return key

    def note(self, method: str, place: Place, scope: Scope, status: int) -> None:
        """Write a line about every write, however it ended."""
        if method not in SAFE_METHODS and need_of(method, place.path) not in (INFER, INDEX):
            caller = scope["state"].get(NOTED, place.caller)
            self.audit.note(method, place.path, caller, status, scope["state"]["request_id"])

    def _caller(self, key: Key | None, token: bytes | None, stranger: Caller) -> Caller:
        if key is not None:
            return Caller(key.name, key.scopes, key.name, stranger.address)
        if token is not None and self.local_digest and hmac.compare_digest(digest_of(token), self.local_digest):
            return Caller(LOCAL, ALL_SCOPES, None, stranger.address)
        return Caller(stranger.name, KEYLESS, None, stranger.address) if self.keyring.is_empty else stranger

    def _check(self, method: str, need: Need, caller: Caller, token: bytes | None) -> None:
        if need.opened_by and getattr(self.settings, need.opened_by):
            return
        if not caller.is_known and self.keyring.is_empty and need.is_keyless(method):
            return
        if not caller.is_known:
            raise KeyNeeded(_what_is_missing(token, keyless=self.keyring.is_empty))
        if need.scopes.isdisjoint(caller.scopes):
            wanted = " or ".join(sorted(need.scopes))
            raise Forbidden(f"The key {caller.name} is for {', '.join(sorted(caller.scopes))}; this needs {wanted}.")


def _token_of(headers: Headers) -> bytes | None:
    """The token that a request bears."""
    value = headers.get(b"authorization")
    if value is None or value[: len(BEARER)].lower() != BEARER:
        return None
    return value[len(BEARER) :].strip()


def _what_is_missing(token: bytes | None, *, keyless: bool) -> str:
    if keyless:
        return (
            "This needs the token that the service has written into its state directory (tokens/<port>), as "
            "`Authorization: Bearer …`; the command line and the clients of the service's own user find it."
        )
    if token is None:
        return "Send a key as `Authorization: Bearer …`; `chapterhouse keys create` makes one."
    return "This key is not known, or no longer valid."
