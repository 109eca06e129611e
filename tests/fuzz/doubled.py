"""A whole service of doubles on an event loop of its own, asked by tests that draw their requests and cannot await."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from api.asking import LOCAL_TOKEN, connect
from api.evaluating import evaluating
from doubles import CLASSIFIER, GENERATOR, Doodle, Echo, add_forecaster, add_model, add_several
from waiting import PATIENCE_S

from service.api.app import create_app
from service.api.gate import Application
from service.api.state import State
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
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
    """Sends requests to the application from another thread than its own."""

    def __init__(self, client: httpx.AsyncClient, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        self.application = application
        self._client = client
        self._loop = loop

    def ask(self, method: str, url: str, **given: Any) -> httpx.Response:
        """The answer, which is one that the document describes. Raises TimeoutError where none comes."""
        request = self._client.build_request(method, url, **given)
        return asyncio.run_coroutine_threadsafe(self._client.send(request), self._loop).result(PATIENCE_S)


@contextmanager
def doubled_service(folder: Path) -> Iterator[Asker]:
    """A service in this folder, as long as this is entered."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    service = _service(settings_in(folder))
    try:
        client, application = asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result(PATIENCE_S)
        yield Asker(client, application, loop)
        asyncio.run_coroutine_threadsafe(service.__aexit__(None, None, None), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


@asynccontextmanager
async def _service(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Application]]:
    store = ModelStore(settings.shipped_models_dir)
    async with LocalEngine(store, threads=1, queue_limit=256) as engine:
        state = State.of(settings, store=store, engines=engine, control=engine, local_token=LOCAL_TOKEN)
        application = create_app(state)
        async with evaluating(state), connect(application, raise_app_exceptions=True) as client:
            yield client, application
        await state.readers.stop()
