"""The engines as one: connections that come back by themselves, work to the least busy, one more try after a death.

Engines of other machines (`peers`) may take a part of what is done among several; they are nobody's only hope.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from service.errors import EngineUnavailable, Overloaded, ServiceError
from service.runtime.aside import Aside
from service.runtime.calls import SILENT, Array, Asked, Call, Lane, LoadedModel, TaskPosting, Withdraw
from service.runtime.duties import Duty, duty_of
from service.runtime.link import ConnectionLost, Link
from service.runtime.peers import Address
from service.runtime.posting import Posted

log = logging.getLogger(__name__)

WAIT_FOR_ENGINE_S = 2.0
WAIT_FOR_THE_NEXT_S = 60.0
"""What an engine held that died waits so long for another: a new one may have to load its libraries first."""
COLD_ROWS = 8
"""An engine that would have to load a model first is chosen where another that has it warm has so many rows more."""
SILENCE_S = 3.0
"""An engine that says nothing for so long has missed two of its beats, and is not counted upon."""
RECONNECT_FIRST_S = 0.02
RECONNECT_LAST_S = 0.25
"""Between two looks at a socket where nobody listens; a device may be down for days."""

PEER_PAUSE_S = 5.0
"""Before a peer is looked for again that was not there."""
PEER_SILENCE_S = 15.0
"""A peer that says nothing for so long is lost: nobody here kills it, as the supervisor does an engine that hangs."""

Among = Callable[[Sequence[Link]], Sequence[Link]]
"""Those of some connections, also to peers, that may have a piece of work. Raises EngineUnavailable."""


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
        self._peers: list[Link] = []
        self._duties: dict[Link, Duty] = {}
        self._connected = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._reaching: dict[Address, asyncio.Task[None]] = {}
        self._on_connect = on_connect
        self._over: ServiceError | None = None
        self._waiting = TaskPosting(self)
        """Who posts while no engine is there waits for one."""
        self.on_status: Callable[[], None] = lambda: None
        self.on_news: Callable[[dict[str, Any]], object] = lambda _: None

    async def start(self) -> None:
        """Begin to connect; work that comes before an engine answers waits a little."""
        self._keepers = [asyncio.create_task(self._keep(path)) for path in self._sockets]

    async def stop(self) -> None:
        """Hang up."""
        keepers = [*self._keepers, *self._reaching.values()]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    def reach(self, peers: Collection[Address], secret: bytes) -> None:
        """Hold connections to these engines of other machines, and to no others."""
        for address in self._reaching.keys() - set(peers):
            self._reaching.pop(address).cancel()
        for address in set(peers) - self._reaching.keys():
            self._reaching[address] = asyncio.create_task(self._keep_peer(address, secret))

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

    async def _keep_peer(self, address: Address, secret: bytes) -> None:
        """Hold a connection to an engine of another machine, whenever there is one to be had."""
        is_told = False
        while True:
            try:
                link = await Link.reach(address, secret, self._forget)
            except OSError as error:
                if not is_told:
                    log.info("the engine of another service at %s is not there: %s", address, error)
                is_told = True
            else:
                is_told = False
                await self._hear_peer(link)
            await asyncio.sleep(PEER_PAUSE_S)

    async def _hear_peer(self, link: Link) -> None:
        """Give a peer its part until its connection ends, or it says nothing any more."""
        self._peers.append(link)
        try:
            while (left_s := link.heard + PEER_SILENCE_S - time.monotonic()) > 0 and not link.closed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(link.closed.wait(), left_s)
        finally:
            self._forget(link)
            link.break_off()

    def _forget(self, link: Link) -> None:
        """Give a connection no more work; callers whose work it lost choose another."""
        if link in self._peers:
            self._peers.remove(link)
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
        among: Among | None = None,
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises; what a dying engine held is tried once more.

        `among` says which connections may have it; without it no peer has.
        """
        link = await self._some_least_busy(call, among)
        try:
            return await link.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        except ConnectionLost as died:
            link = await self._least_busy_after(died, call, among)
            return await link.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        except ServiceError as error:
            if not link.is_peer or isinstance(error, Overloaded):
                raise
            log.warning("an engine of another service does no %s of %s: %s", call.verb, call.model, error.detail)
            link.refused.add(call)
            return await self.submit(
                call, arrays, lane=lane, deadline=deadline, request_id=request_id, among=_without_peers(among)
            )

    def post(self, call: Call, asked: Sequence[Asked]) -> Sequence[Withdraw]:
        """Ask without waiting, as Posting promises; what a dying engine held is tried once more."""
        if not self._links or self._over is not None:
            return self._waiting.post(call, asked)
        posted = [Posted(call, each, self._try_again) for each in asked]
        told = [Asked(each.rows, one.hear, each.request_id) for each, one in zip(asked, posted, strict=True)]
        try:
            withdraws = self._least_busy(call, None).post(call, told)
        except ConnectionLost:
            return self._waiting.post(call, asked)
        for one, withdraw in zip(posted, withdraws, strict=True):
            one.withdraw = withdraw
        return [one.end for one in posted]

    async def _try_again(self, call: Call, asked: Asked, died: ConnectionLost) -> list[Array]:
        link = await self._least_busy_after(died, call, None)
        return await link.submit(call, [asked.rows], lane=Lane.INTERACTIVE, deadline=None, request_id=asked.request_id)

    async def _some_least_busy(self, call: Call, among: Among | None, wait_s: float | None = None) -> Link:
        """The least busy engine, once there is any. Raises EngineUnavailable."""
        await self._some_link(among, wait_s)
        return self._least_busy(call, among)

    async def _least_busy_after(self, died: ConnectionLost, call: Call, among: Among | None) -> Link:
        """Another one for what a dying engine held. Raises how it died where there is none: this may be why."""
        try:
            return await self._some_least_busy(call, among, WAIT_FOR_THE_NEXT_S)
        except EngineUnavailable:
            raise died from None

    def _least_busy(self, call: Call, among: Among | None) -> Link:
        """Of the engines whose duty a verb is, or of all while none of those is there."""
        links: Sequence[Link] = [link for link in self._links if self._duties[link].does(call.verb)] or self._links
        if among is not None:
            links = among([*links, *(peer for peer in self._peers if peer.has_time_for(call))])
        if len(links) == 1:
            return links[0]
        return min(links, key=partial(self._load_of, call.model))

    def _load_of(self, model_id: str, link: Link) -> tuple[bool, bool, float, bool, float]:
        """What an engine is chosen by; those that are equal at random, or all fronts would begin with the same one.

        One that has just begun has nothing to do, and would be given all that comes while it loads.
        """
        state = held.state if (held := link.models.get(model_id)) is not None else ""
        warm = state == "ready" or link.is_peer  # which `has_time_for` knows
        rows = link.rows_waiting + (0 if warm else COLD_ROWS)
        loads = state == "loading" and not warm
        return self._is_silent(link), loads, rows / link.width, link.is_peer, random.random()  # noqa: S311

    def _is_silent(self, link: Link) -> bool:
        """Whether an engine has missed its beats: it is stopped, or has been too busy to say so."""
        return time.monotonic() - link.heard > self._silence_s

    async def _some_link(self, among: Among | None = None, wait_s: float | None = None) -> None:
        """Wait a little for a connection. Raises EngineUnavailable, and what `give_up` was told."""
        if not self._links and self._over is None and not (among and self._peers):
            try:
                async with asyncio.timeout(WAIT_FOR_ENGINE_S if wait_s is None else wait_s):
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

    async def set_aside(self, aside: Aside) -> None:
        """Have a model get no work in any engine for a while; those that are not there are left out."""
        await asyncio.gather(*(link.set_aside(aside) for link in self._links), return_exceptions=True)

    def tell(self, news: dict[str, Any]) -> None:
        """Tell all others who are connected to these sockets; nobody answers."""
        for link in self._links:
            link.tell(news)

    def width(self, among: Among | None = None) -> int:
        """How many engines are connected and heard, one at least; those for forecasts alone apart."""
        general: Sequence[Link] = [link for link in self._links if self._duties[link] is not Duty.FORECASTS]
        if among is not None:
            general = among([*general, *self._peers])
        return max(1, sum(link.width for link in general if not self._is_silent(link)))

    def models(self, among: Among | None = None) -> Mapping[str, LoadedModel]:
        """The models held by any engine, the readiest state of each; an engine that misses beats has none ready."""
        links = self._links if among is None else among([*self._links, *self._peers])
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


def _without_peers(among: Among | None) -> Among:
    """The same, of the engines of this service alone."""

    def own(links: Sequence[Link]) -> Sequence[Link]:
        found = [link for link in links if not link.is_peer]
        return found if among is None else among(found)

    return own
