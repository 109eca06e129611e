"""How much room there is for uploads: one look at the disk tells all who ask within a moment."""

import asyncio
import time
from collections import Counter

from service.api.budgets import Budget
from service.errors import Overloaded
from service.evaluation.queue.uploads import Uploads
from service.settings import Settings

LOOK_S = 1.0
"""For which a look holds. What this front lets in meanwhile is added; what goes is seen before anybody is refused."""


class UploadRoom:
    """What uploads may take of the disk, in all and for each client.

    All fronts of a state directory share it; what another one lets in is seen with the next look.
    """

    def __init__(self, uploads: Uploads, settings: Settings) -> None:
        self._uploads = uploads
        self._disk = Budget(settings.uploads_disk_bytes, settings.client_share)
        self._used: Counter[str] = Counter()
        self._looked = -LOOK_S
        self._looking: asyncio.Task[None] | None = None

    async def check(self, client: str, more: int = 0, *, afresh: bool = False) -> None:
        """Let a client have so much more. Raises Overloaded where that is too much.

        `afresh` counts also what came that nobody had said would come.
        """
        if afresh or time.monotonic() - self._looked > LOOK_S:
            await self._look()
        if not self._has_room(client, more):
            await self._look()
        if not self._has_room(client, more):
            raise Overloaded(
                f"Uploads that wait or are worked on may take {self._disk.limit:,} bytes of disk, and each client's a "
                "part of that; this one is too much."
            )
        self._used[client] += more

    def _has_room(self, client: str, more: int) -> bool:
        return self._disk.bears(held=self._used[client] + more, taken=self._used.total() + more)

    async def _look(self) -> None:
        """Look again, once for all who want that now."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._count())
        await asyncio.shield(self._looking)

    async def _count(self) -> None:
        try:
            began = time.monotonic()
            self._used = await asyncio.to_thread(self._uploads.used_bytes)
            self._looked = began
        finally:
            self._looking = None
