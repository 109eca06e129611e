"""The event streams that a front keeps open, counted: each holds a connection for as long as an evaluation takes."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Self

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.errors import Overloaded
from service.settings import Settings
from service.telemetry.instruments import Instruments

FULL = "event_streams_full"
RETRY_AFTER_S = 5
"""When a client that follows too many is to ask again: an evaluation ends now and then."""


class EventStreams:
    """How many streams are open, of one client and of all."""

    def __init__(self, settings: Settings, instruments: Instruments) -> None:
        self._settings = settings
        self._instruments = instruments
        self._open: Counter[str] = Counter()
        instruments.begin_at_zero(instruments.rejected, FULL)

    def enter(self, client: str) -> None:
        """Count one more. Raises Overloaded where that is too many."""
        settings = self._settings
        if self._open[client] >= settings.event_streams_limit_per_client:
            raise self._refusal(f"This client follows {self._open[client]} evaluations here, and may not follow more.")
        if self._open.total() >= settings.event_streams_limit:
            raise self._refusal(f"{self._open.total()} evaluations are followed here, and no more may be.")
        self._open[client] += 1
        self._show()

    def leave(self, client: str) -> None:
        """Count one less."""
        self._open[client] -= 1
        self._open += Counter()  # clients without a stream are forgotten
        self._show()

    def _show(self) -> None:
        self._instruments.event_streams.set(self._open.total())

    def _refusal(self, detail: str) -> Overloaded:
        self._instruments.rejected.labels(FULL).inc()
        refusal = Overloaded(detail)
        refusal.retry_after_s = RETRY_AFTER_S
        return refusal


class CountedStream(StreamingResponse):
    """A stream that counts until it has ended, however it ends."""

    _leave: Callable[[], None]

    def counted(self, streams: EventStreams, client: str) -> Self:
        """This stream, counted from now on. Raises Overloaded."""
        streams.enter(client)
        self._leave = partial(streams.leave, client)
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called by the application."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
