"""An engine that opens with the first work for it, and leaves torch as the program beside it wants it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from service.runtime.calls import Array, Call, Lane, LoadedModel
from service.settings import Settings
from service.store import ModelStore

if TYPE_CHECKING:
    from service.nets.arithmetic import Exactly
    from service.runtime.in_process import LocalEngine

log = logging.getLogger(__name__)


class _Opened(NamedTuple):
    engine: "LocalEngine"
    exactly: "Exactly"


class LazyEngine:
    """EngineClient, EngineControl and EngineStatus over the first device that a server would take.

    It has as many threads as a server's, so that both give the same bits; but for labels, for which a server may have a
    faster form. Nothing is loaded before the first work, not even torch, and no model is tried before it does some, but
    those that are loaded by name. It belongs to the event loop that asks it first.
    """

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self._settings = settings
        self._store = store
        self._one_opens = asyncio.Lock()
        self._opened: _Opened | None = None

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
        async with self._at_work() as engine:
            return await engine.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)

    def width(self) -> int:
        """One: it takes the first device alone."""
        return 1

    async def load(self, model_id: str) -> None:
        """Load a model, and try it."""
        async with self._at_work() as engine:
            await engine.load(model_id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model."""
        if self._opened is not None:
            await self._opened.engine.unload(model_id)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held."""
        return {} if self._opened is None else self._opened.engine.models()

    async def close(self) -> None:
        """Let go of the device once what waits for it is done; the next work opens it again."""
        async with self._one_opens:
            opened, self._opened = self._opened, None
            if opened is not None:
                await opened.engine.__aexit__(None, None, None)

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator["LocalEngine"]:
        async with self._one_opens:
            if self._opened is None:
                with _collecting_nothing():
                    made = await asyncio.to_thread(self._make)
                await made.engine.__aenter__()
                self._opened = made
            engine, exactly = self._opened
        with exactly:
            yield engine

    def _make(self) -> _Opened:
        import torch

        from service.nets.arithmetic import Exactly
        from service.runtime.cards.naming import devices_of
        from service.runtime.in_process import LocalEngine

        threads, exactly = torch.get_num_threads(), Exactly()
        with exactly:
            devices, doubt = devices_of(self._settings.devices)
            if doubt:
                log.warning(doubt)
            engine = LocalEngine(self._store, device=devices[0], threads=self._settings.engine_threads, tried=False)
        torch.set_num_threads(threads)  # what threads that others make begin with
        return _Opened(engine, exactly)


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Without looking for garbage: importing torch makes many objects that stay, and each search goes over them.

    They are old at once, too, where nobody has frozen anything: the next searches, of what is young, pass them over.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
