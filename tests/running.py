"""A whole service in one thread of the test's process: the application on a real port, an engine and an evaluator."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from waiting import PATIENCE_S, until

from service.api.app import create_app
from service.api.state import State
from service.evaluation.worker import Evaluator
from service.processes.front import Server
from service.processes.tokens import local_token, read_local_token
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments


@contextmanager
def running_service(settings: Settings, *, evaluating: bool = True) -> Iterator[str]:
    """The address of a service that runs until the context ends; without `evaluating`, evaluations wait for ever."""
    listening = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=_run, args=(loop, settings, listening, ready, over, evaluating), daemon=True)
    written = local_token(settings, listening.getsockname()[1])
    written.__enter__()
    thread.start()
    try:
        until(lambda: ready.is_set() or not thread.is_alive())
        assert ready.is_set(), "the service has not begun"
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the service has not ended"
        loop.close()
        written.__exit__(None, None, None)


def _run(
    loop: asyncio.AbstractEventLoop,
    settings: Settings,
    listening: socket.socket,
    ready: threading.Event,
    over: asyncio.Event,
    evaluating: bool,  # noqa: FBT001 - a thread's arguments have no names
) -> None:
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_serve(settings, listening, ready, over, evaluating=evaluating))


async def _serve(
    settings: Settings, listening: socket.socket, ready: threading.Event, over: asyncio.Event, *, evaluating: bool
) -> None:
    store = ModelStore(settings.added_models_dir, settings.shipped_models_dir)
    async with LocalEngine(store, threads=1) as engine:
        for model_id in settings.wanted_models:
            await engine.load(model_id)
        token = read_local_token(settings, listening.getsockname()[1])
        state = State.of(settings, store=store, engines=engine, control=engine, local_token=token)
        app = create_app(state)
        server = Server.of(app)
        evaluator = Evaluator(state.bench, state.jobs, state.uploads, Instruments())
        tasks = [asyncio.create_task(server.serve([listening]))]
        if evaluating:
            tasks.append(asyncio.create_task(evaluator.run()))
        ready.set()
        await over.wait()
        app.gate.draining = True
        server.should_exit = True
        evaluator.stopping.set()
        await asyncio.gather(*tasks)
