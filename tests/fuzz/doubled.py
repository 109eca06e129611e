"""A whole service of doubles on an event loop of its own, for tests that draw their requests and cannot wait themselves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from api.asking import connect
from api.evaluating import evaluating
from doubles import Doodle, Echo, add_forecaster, add_model, add_several
from doubles import CLASSIFIER, GENERATOR

from service.api.app import create_app
from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.evaluation.references import References
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

MEBIBYTE = 1 << 20


def settings_in(folder: Path) -> Settings:
    """A store of doubles that behave, and limits that a drawn request can reach."""
    layer = folder / "models_store"
    add_model(layer, "echo", Echo(), CLASSIFIER.format(net="echo"))
    add_model(layer, "doodle", Doodle(), GENERATOR.format(net="doodle"))
    add_forecaster(layer)
    add_several(layer)
    settings = Settings(
        models_dir=layer,
        state_dir=folder / "state",
        default_classifier="echo",
        default_generator="doodle",
        default_forecaster="murmur",
        upload_limit_bytes=MEBIBYTE,
        body_limit_bytes=MEBIBYTE,
        request_limit_pixels=MEBIBYTE,
        generate_limit=1000,
        forecast_limit=1000,
    )
    migrate(Database.of(settings))
    return settings


class Asker:
    """Sends requests to the application, from another thread than its own."""

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        self._client = client
        self._loop = loop
        self._patience_s = patience_s

    def ask(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises TimeoutError where none comes: a request that hangs."""
        sending = asyncio.run_coroutine_threadsafe(self._client.send(request), self._loop)
        return sending.result(self._patience_s)


@asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    store = ModelStore(settings.shipped_models_dir)
    async with LocalEngine(store, threads=1, queue_limit=256) as engine:
        bench = Bench(settings, store, engine, References.of(settings))
        state = State.of(settings, store=store, engines=engine, control=engine)
        assert bench.settings is settings
        async with evaluating(state), connect(create_app(state), raise_app_exceptions=True) as client:
            yield client
        await state.readers.stop()


@contextmanager
def running(settings: Settings, *, patience_s: float) -> Iterator[Asker]:
    """The service, for as long as this is entered."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def do(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(120)

    context = _service(settings)
    client = do(context.__aenter__())
    try:
        yield Asker(client, loop, patience_s)
    finally:
        do(context.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
