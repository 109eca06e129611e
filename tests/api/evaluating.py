"""A service whose evaluator runs beside the test, and files to send to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from api.asking import LOCAL_TOKEN, connect

from service.api.app import create_app
from service.api.gate import Application
from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.worker import Evaluator
from service.telemetry.instruments import Instruments


def state_over(bench: Bench, **changed: object) -> State:
    """The state of a front over these engines, with other settings where they are given."""
    settings = bench.settings.model_copy(update=changed)
    engine = bench.engine
    return State.of(settings, store=bench.store, engines=engine, control=engine, local_token=LOCAL_TOKEN)  # type: ignore[arg-type]


@asynccontextmanager
async def asking(state: State) -> AsyncIterator[tuple[httpx.AsyncClient, Application]]:
    """A client of an application over this state, and the application."""
    app = create_app(state)
    async with connect(app, raise_app_exceptions=True) as client:
        yield client, app


@asynccontextmanager
async def evaluating(state: State, bench: Bench | None = None) -> AsyncIterator[Evaluator]:
    """An evaluator at work on what this front accepts, with a bench of its own where one is given."""
    running = Evaluator(bench or state.bench, state.jobs, state.uploads, Instruments())
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        running.stopping.set()
        await task
