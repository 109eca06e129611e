"""An engine in this process: for tests, notebooks, and commands that work without a server."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from service.errors import ServiceError
from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.runtime.cards.opening import open_device
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.work import Work
from service.store import ModelStore
from service.telemetry.instruments import Instruments

if TYPE_CHECKING:
    from service.runtime.improving import FormChoice


class OwnEngine:
    """EngineClient, EngineControl and EngineStatus over an engine in this process, which `async with` starts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __aenter__(self) -> Self:
        await self._engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.stop()

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises."""
        outcome: asyncio.Future[list[Array]] = asyncio.get_running_loop().create_future()

        def answer(result: list[Array] | ServiceError) -> None:
            if outcome.done():
                return
            if isinstance(result, ServiceError):
                outcome.set_exception(result)
            else:
                outcome.set_result(result)

        rows = len(arrays[0]) if arrays else 0
        work = Work(call, arrays, rows, lane, deadline, request_id, answer)
        self._engine.enqueue(work)
        try:
            return await outcome
        except asyncio.CancelledError:
            self._engine.cancel(work)
            raise

    def width(self) -> int:
        """One: there is no other."""
        return 1

    async def load(self, model_id: str) -> None:
        """Load and warm a model."""
        await self._engine.load(model_id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model."""
        await self._engine.unload(model_id)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held."""
        return self._engine.models()


class LocalEngine(OwnEngine):
    """The same over an engine of its own, plain unless `forms` are given; what it loads is tried if that is `tried`."""

    def __init__(
        self,
        store: ModelStore,
        *,
        device: str | Device = "cpu",
        threads: int = 0,
        queue_limit: int = 1024,
        forms: "FormChoice | None" = None,
        tried: bool = True,
    ) -> None:
        opened = device if isinstance(device, Device) else open_device(device, threads=threads)
        engine = Engine(store, opened, instruments=Instruments(), queue_limit=queue_limit, forms=forms, tried=tried)
        super().__init__(engine)
