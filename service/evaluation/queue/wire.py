"""Changes of evaluations from process to process: through the supervisor's socket, and by PostgreSQL itself."""

import asyncio
import json
import logging
from typing import Any, Protocol

from service.evaluation.queue.changes import Change, Changes
from service.evaluation.queue.database import CHANNEL, Database

log = logging.getLogger(__name__)

AGAIN_S = 5.0
"""Pause before a PostgreSQL that did not listen is asked again."""


class Wire(Protocol):
    """What carries words to all other processes of the service and back."""

    on_news: Any
    on_status: Any

    def tell(self, news: dict[str, Any]) -> None:
        """Tell all others."""
        ...


def carry(changes: Changes, wire: Wire) -> None:
    """Tell the other processes of this machine what this one changes, and this one what they do."""
    changes.listen(lambda change: wire.tell({"id": change.id, "status": change.status}), only_own=True)
    wire.on_news = lambda news: changes.arrived(Change(news["id"], news["status"]))
    wire.on_status = lambda: changes.arrived(Change())  # connected, also anew: words may have been lost


async def listen(database: Database, changes: Changes) -> None:
    """Hear what services on other machines change in the same PostgreSQL, for ever; SQLite is this machine's alone."""
    while not database.is_sqlite:
        try:
            await _listen_once(database.address, changes)
        except OSError as error:
            log.info("PostgreSQL is not listened to: %s", error)
        await asyncio.sleep(AGAIN_S)


async def _listen_once(address: str, changes: Changes) -> None:
    """Hear until the connection is lost. Raises OSError, whose words hold no password."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(address, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            changes.arrived(Change())  # whatever was told before
            async for notice in connection.notifies():
                changes.arrived(Change(*json.loads(notice.payload)))
    except psycopg.Error as error:
        raise OSError(type(error).__name__) from error
