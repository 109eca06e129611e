"""The engines as one: connections that come back by themselves, work to the least busy, one more try after a death."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from service.errors import EngineUnavailable, ServiceError
from service.runtime.calls import SILENT, Array, Call, Lane, LoadedModel, Told, Withdraw
from service.runtime.duties import Duty, duty_of
from service.runtime.link import ConnectionLost, Link

WAIT_FOR_ENGINE_S = 2.0
SILENCE_S = 3.0
"""An engine that says nothing for so long has missed two of its beats, and is not counted upon."""
RECONNECT_FIRST_S = 0.02
RECONNECT_LAST_S = 0.25
"""Between two looks at a socket where nobody listens; a device may be down for days."""

Among = Callable[[Sequence[Link]], Sequence[Link]]
"""Those of some connections that may have a piece of work. Raises EngineUnavailable."""


def _all(links: Sequence[Link]) -> Sequence[Link]:
    return links


class EnginePool:
    """EngineClient, EngineControl and EngineStatus over the engines that listen on `sockets`."""

    def __init__(
        self,
        sockets: Sequence[Path],
        *,
        on_connect: Callable[[Link], Awaitable[None]] | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._sockets = sockets
        self._silence_s = silence_s
        self._links: list[Link] = []
        self._duties: dict[Link, Duty] = {}
        self._connected = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._on_connect = on_connect
        self._over: ServiceError | None = None
        self.on_status: Callable[[], None] = lambda: None
        self.on_news: Callable[[dict[str, Any]], object] = lambda _: None

    async def start(self) -> None:
        """Begin to connect; work that comes before an engine answers waits a little."""
        self._keepers = [asyncio.create_task(self._keep(path)) for path in self._sockets]

    async def stop(self) -> None:
        """Hang up."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def give_up(self, error: ServiceError) -> None:
        """Answer all that is open and all that still comes with this error: there is no time left."""
        self._over = error
        self._connected.set()
        for link in self._links:
            link.fail(error)

    async def _keep(self, path: Path) -> None:
        """Hold a connection to one engine, through its deaths and restarts."""
        pause_s = RECONNECT_FIRST_S
        while True:
            try:
                link = await Link.connect(path, lambda: self.on_status(), self._forget, lambda news: self.on_news(news))
            except OSError:
                await asyncio.sleep(pause_s)
                pause_s = min(RECONNECT_LAST_S, pause_s * 1.5)
                continue
            pause_s = RECONNECT_FIRST_S
            self._duties[link] = duty_of(path)
            self._links.append(link)
            self._connected.set()
            try:
                if self._on_connect is not None:
                    with contextlib.suppress(ConnectionLost):
                        await self._on_connect(link)
                await link.closed.wait()
            finally:
                self._forget(link)
                link.close()

    def _forget(self, link: Link) -> None:
        """Give a connection no more work; callers whose work it lost choose another."""
        self._duties.pop(link, None)
        if link in self._links:
            self._links.remove(link)
            if not self._links:
                self._connected.clear()
            self.on_status()

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
        among: Among = _all,
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises; what a dying engine held is tried once more.

        `among` says which connections may have it.
        """
        link = await self._some_least_busy(call.verb, among)
        try:
            return await link.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        except ConnectionLost as died:
            link = await self._least_busy_after(died, call.verb, among)
            return await link.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)

    def post(self, call: Call, arrays: Sequence[Array], told: Told, *, request_id: str = "") -> Withdraw | None:
        """Ask without waiting, as Posting promises; what a dying engine held is tried once more."""
        if not self._links or self._over is not None:
            return None
        posted = _Posted(self, call, arrays, told, request_id)
        posted.begin(self._least_busy(call.verb, _all))
        return posted.withdraw

    async def _some_least_busy(self, verb: str, among: Among) -> Link:
        """The same, once there are any. Raises EngineUnavailable."""
        await self._some_link()
        return self._least_busy(verb, among)

    async def _least_busy_after(self, died: ConnectionLost, verb: str, among: Among) -> Link:
        """Another one for what a dying engine held. Raises how it died where there is none: this may be why."""
        try:
            return await self._some_least_busy(verb, among)
        except EngineUnavailable:
            raise died from None

    def _least_busy(self, verb: str, among: Among) -> Link:
        """Of the engines whose duty a verb is, or of all while none of those is there."""
        links = among([link for link in self._links if self._duties[link].does(verb)] or self._links)
        if len(links) == 1:
            return links[0]
        # At random where they are equal: several fronts would all begin with the same engine.
        return min(links, key=lambda link: (self._is_silent(link), link.rows_waiting, random.random()))  # noqa: S311

    def _is_silent(self, link: Link) -> bool:
        """Whether an engine has missed its beats: it is stopped, or has been too busy to say so."""
        return time.monotonic() - link.heard > self._silence_s

    async def _some_link(self) -> None:
        """Wait a little for a connection. Raises EngineUnavailable, and what `give_up` was told."""
        if not self._links and self._over is None:
            try:
                async with asyncio.timeout(WAIT_FOR_ENGINE_S):
                    while not self._links and self._over is None:
                        await self._connected.wait()
            except TimeoutError:
                raise EngineUnavailable("No engine has answered; it is being restarted.") from None
        if self._over is not None:
            raise self._over

    async def load(self, model_id: str) -> None:
        """Load and warm a model in every engine. Raises EngineUnavailable too."""
        await self._some_link()
        await asyncio.gather(*(link.load(model_id) for link in self._links))

    async def unload(self, model_id: str) -> None:
        """Let go of a model in every engine. Raises EngineUnavailable too."""
        await self._some_link()
        await asyncio.gather(*(link.unload(model_id) for link in self._links))

    def tell(self, news: dict[str, Any]) -> None:
        """Tell all others who are connected to these sockets; nobody answers."""
        for link in self._links:
            link.tell(news)

    def width(self, among: Among = _all) -> int:
        """How many engines are connected and heard, one at least; those for forecasts alone apart."""
        general = [link for link in among(self._links) if self._duties[link] is not Duty.FORECASTS]
        return max(1, sum(not self._is_silent(link) for link in general))

    def models(self, among: Among = _all) -> Mapping[str, LoadedModel]:
        """The models held by any engine, the readiest state of each; an engine that misses beats has none ready."""
        links = among(self._links)
        if len(links) == 1 and not self._is_silent(links[0]):  # as it is asked for every answer
            return links[0].models
        found: dict[str, LoadedModel] = {}
        for link in links:
            silent = self._is_silent(link)
            for model_id, held in link.models.items():
                loaded = replace(held, state=SILENT) if silent else held
                if model_id not in found or loaded.state == "ready":
                    found[model_id] = loaded
        return found


class _Posted:
    """A question that nobody waits for: who asked is told what came of it."""

    __slots__ = ("_arrays", "_call", "_pool", "_request_id", "_told", "_trying", "_withdraw")

    def __init__(self, pool: EnginePool, call: Call, arrays: Sequence[Array], told: Told, request_id: str) -> None:
        self._pool = pool
        self._call = call
        self._arrays = arrays
        self._told = told
        self._request_id = request_id
        self._trying: asyncio.Task[None] | None = None

    def begin(self, link: Link) -> None:
        """Ask an engine. Raises ConnectionLost."""
        self._withdraw = link.post(self._call, self._arrays, self._hear, request_id=self._request_id)

    def withdraw(self) -> None:
        """Have nobody told anything, and the work dropped."""
        if self._trying is not None:
            self._trying.cancel()
        else:
            self._withdraw()

    def _hear(self, outcome: list[Array] | BaseException) -> None:
        if isinstance(outcome, ConnectionLost):
            self._trying = asyncio.get_running_loop().create_task(self._try_again(outcome))
        else:
            self._told(outcome)

    async def _try_again(self, died: ConnectionLost) -> None:
        pool, call = self._pool, self._call
        try:
            link = await pool._least_busy_after(died, call.verb, _all)  # noqa: SLF001 - it is the pool's own
            found = await link.submit(
                call, self._arrays, lane=Lane.INTERACTIVE, deadline=None, request_id=self._request_id
            )
        except ServiceError as error:
            self._told(error)
        else:
            self._told(found)
