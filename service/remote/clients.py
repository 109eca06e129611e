"""The engines of a cluster as one, as those who want work done see them: EngineClient, EngineControl, EngineStatus."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.errors import EngineUnavailable, Overloaded, ServiceError
from service.remote.hub import Handle, Member
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.runtime.frames import error_of_meta
from service.runtime.link import ConnectionLost

WAIT_FOR_ENGINE_S = 2.0
LOOK_S = 0.1
TRIES = 2
"""What an engine held that died is tried once more."""

Errors = tuple[type[BaseException], ...]


class RemoteEngines:
    """Engines behind the handle of their deployment, which takes the one with the least to do."""

    def __init__(self, engines: Handle, hub: Handle, name: str, *, gone: Errors, full: Errors) -> None:
        self._engines = engines
        self._hub = hub
        self._gone, self._full = gone, full
        self.member = Member(hub, name)
        self.member.on_word.append(lambda _: self.on_status())
        self.on_status: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin to hear of the engines."""
        await self.member.start()

    async def stop(self) -> None:
        """Hear no more."""
        await self.member.stop()

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises; what a dying engine held is tried once more."""
        for _ in range(TRIES):
            await self._some_engine()
            left_s = None if deadline is None else deadline - time.monotonic()  # clocks differ from machine to machine
            with contextlib.suppress(*self._gone):
                return _opened(await self._ask(call, list(arrays), lane, left_s, request_id))
        raise ConnectionLost("The engine died before it answered.")

    async def _ask(self, *words: Any) -> Any:
        response = self._engines.submit.remote(*words)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except self._full:
            raise Overloaded("Every engine has as much to do as it takes.") from None

    async def _some_engine(self) -> None:
        """Wait a little for an engine. Raises EngineUnavailable."""
        over = time.monotonic() + WAIT_FOR_ENGINE_S
        while self.member.word is None or not self.member.word.engines:
            if time.monotonic() > over:
                raise EngineUnavailable("No engine has answered; it is being started.")
            await asyncio.sleep(LOOK_S)

    async def load(self, model_id: str) -> None:
        """Load and warm a model in every engine, and in those that are still to come."""
        try:
            await self._everywhere("load", model_id)
        except EngineUnavailable:
            await self._hub.want.remote(model_id)
            raise
        await self._hub.want.remote(model_id)
        await self.member.speak()

    async def unload(self, model_id: str) -> None:
        """Let go of a model in every engine."""
        await self._hub.unwant.remote(model_id)
        await self._everywhere("unload", model_id)
        await self.member.speak()

    async def _everywhere(self, verb: str, model_id: str) -> None:
        """Have every engine that lives do this. Raises what one of them met."""
        await self._some_engine()
        for outcome in await self._engines.broadcast(verb, model_id).results_async(return_exceptions=True):
            if isinstance(outcome, self._gone):
                continue  # the next in its place hears from the hub what is wanted
            if isinstance(outcome, BaseException):
                raise outcome
            _opened(outcome)

    def width(self) -> int:
        """How many engines share the work, one at least."""
        return 1 if self.member.word is None else max(1, self.member.word.engines)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models that engines hold, the readiest state of each."""
        return {} if self.member.word is None else self.member.word.models


def _opened(outcome: Any) -> list[Array]:
    """What an engine answered. Raises the ServiceError that it met."""
    if isinstance(outcome, dict):
        error: ServiceError = error_of_meta(outcome)
        raise error
    arrays: list[Array] = outcome
    return arrays
