"""The evaluator process."""
import asyncio
from collections.abc import Sequence
from pathlib import Path
from service.runtime.lifeline import on_terminate, watch_parent
from service.settings import Settings


async def run_evaluator(settings: Settings, *, sockets: Sequence[Path], parent_pipe: int) -> None:
    watch_parent(parent_pipe)
    done = asyncio.Event()
    on_terminate(done.set)
    await done.wait()
