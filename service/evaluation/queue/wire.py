"""Changes of evaluations from process to process: through the supervisor's socket, and by PostgreSQL itself."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any, Protocol

from service.evaluation.queue.changes import Change, Changes
from service.evaluation.queue.database import CHANNEL, Database

log = logging.getLogger(__name__)

KEEPALIVE = "connect_timeout=5&keepalives_idle=60&keepalives_interval=20&keepalives_count=3"
"""So that a connection which nobody uses, and which something on the way has forgotten, is noticed."""
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

    glue = "&" if "?" in address else "?"
    try:
        connection = await asyncio.to_thread(lambda: psycopg.connect(f"{address}{glue}{KEEPALIVE}", autocommit=True))
        with closing(connection):
            await asyncio.to_thread(connection.execute, f"LISTEN {CHANNEL}")
            changes.arrived(Change())  # whatever was told before
            async with aclosing(_whenever_readable(connection.fileno())) as times:
                async for _ in times:  # psycopg's own way looks ten times a second
                    connection.pgconn.consume_input()
                    while (notice := connection.pgconn.notifies()) is not None:
                        changes.arrived(Change(*json.loads(notice.extra)))
    except psycopg.Error as error:
        raise OSError(type(error).__name__) from error


async def _whenever_readable(descriptor: int) -> AsyncGenerator[None, None]:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            yield
    finally:
        loop.remove_reader(descriptor)
