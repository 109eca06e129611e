"""The keys as a front knows them: checked from memory, and read again while anybody asks: a revocation soon holds."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from service.errors import DatabaseUnavailable
from service.evaluation.queue.keys import Key, Keys, copy_of, digest_of, read_copy, write_copy
from service.settings import Settings

log = logging.getLogger(__name__)

READ_EVERY_S = 2.0
TRUST_S = 4.0
"""What was read longer ago than this is not believed before the database has been asked again."""
PATIENCE_S = 1.0
"""How long a request waits for that; the keys that are known go on working while the database is away."""


class Keyring:
    """The valid keys by their hashes. Nothing is read while nobody asks.

    A process that starts while the database is away goes by the copy in the state directory, which whoever reads or
    makes keys writes. Where the database is the state directory's own (`is_own`) and there is no copy, no key has ever
    been made.
    """

    def __init__(
        self, keys: Keys, copy: Path, *, is_own: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._copy = copy
        self._is_own = is_own
        self._clock = clock
        self._known: list[Key] | None = None
        self._by_digest: dict[str, Key] = {}
        self._read_at = self._due_at = self._tried_at = float("-inf")
        self._away = False
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The keys of these settings' database."""
        has_own = not settings.database_url
        return cls(Keys.of(settings, busy_s=PATIENCE_S), copy_of(settings), is_own=has_own)

    @property
    def is_empty(self) -> bool:
        """Whether there are no keys, also none that were revoked: then nobody is asked for one."""
        return not self._known

    def find(self, token: bytes) -> Key | None:
        """The valid key that this is; None for anything else."""
        digest = digest_of(token)
        key = self._by_digest.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            return None
        return key if key.standing(time.time()) == "valid" else None

    def is_due(self) -> bool:
        """Whether it is time to read the keys again: always while none are known, which is not to know of none.

        While they are being read it is time only for those who have to wait for that.
        """
        if self._known is None:
            return True
        now = self._clock()
        return now >= self._due_at and (self._reading is None or (self._is_too_old(now) and not self._away))

    def _is_too_old(self, now: float) -> bool:
        """Whether what is known is believed no longer."""
        return now - self._read_at > TRUST_S

    async def read_again(self) -> None:
        """Have the keys read, and wait for that only where what is known is too old to be believed.

        Raises DatabaseUnavailable where nothing is known yet and the database does not answer.
        """
        now = self._clock()
        begins = self._reading is None
        reading = self._reading = self._reading or asyncio.create_task(self._read())
        if self._known is None:
            await self._know_some(reading)
            return
        is_idle = begins and now - self._tried_at > TRUST_S
        if self._is_too_old(now) and (is_idle or not self._away):
            await asyncio.wait({reading}, timeout=PATIENCE_S)
            self._away = self._away or not reading.done()

    async def _know_some(self, reading: "asyncio.Task[None]") -> None:
        """Wait until keys are known: the database's, or those of the copy where it takes long.

        Raises DatabaseUnavailable.
        """
        await asyncio.wait({reading}, timeout=PATIENCE_S)
        if self._known is None:
            await self._go_by_copy()
        if self._known is None:
            await asyncio.shield(reading)
        if self._known is None:
            raise DatabaseUnavailable("The database of keys does not answer.")

    async def _read(self) -> None:
        began = self._clock()
        try:
            keys = await asyncio.to_thread(self._keys.all)
            if keys != self._known:
                await asyncio.to_thread(self._keep, keys)
            self._take(keys)
            self._read_at, self._away = began, False
        except DatabaseUnavailable:
            await self._go_by_copy()
        except Exception:
            log.exception("the keys cannot be read")
            await self._go_by_copy()
        finally:
            self._tried_at = self._clock()
            self._due_at = self._tried_at + READ_EVERY_S
            self._reading = None

    async def _go_by_copy(self) -> None:
        self._away = True
        if self._known is None and (copied := await asyncio.to_thread(self._copied)) is not None:
            log.warning("the database of keys does not answer; the %d of the last copy hold", len(copied))
            self._take(copied)

    def _copied(self) -> list[Key] | None:
        if self._is_own and not self._copy.exists():
            return []
        return read_copy(self._copy)

    def _take(self, keys: list[Key]) -> None:
        self._known = keys
        self._by_digest = {key.digest: key for key in keys}

    def _keep(self, keys: list[Key]) -> None:
        try:
            write_copy(self._copy, keys)
        except OSError as error:
            log.warning("the keys cannot be copied to %s: %s", self._copy, error.strerror)
