"""The engine process: one device behind a unix socket."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from service.errors import ConfigurationError
from service.processes.lifeline import beat, freeze_garbage, on_terminate, watch_parent
from service.processes.memory import keep_memory
from service.runtime.aside import Aside
from service.runtime.cards.naming import is_card
from service.runtime.cards.opening import open_device
from service.runtime.devices import MOST_ROWS
from service.runtime.duties import Duty, duty_of, number_of
from service.runtime.engine import Engine
from service.runtime.improving import FormChoice
from service.runtime.listener import Listener
from service.runtime.noting import DeviceVitals, Noting
from service.runtime.peers import Meeting
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments
from service.telemetry.traces import tracer_of

log = logging.getLogger(__name__)

SEEN = "cuda:0"
"""What torch calls a card that is the only one it sees."""


async def run_engine(
    settings: Settings,
    *,
    device: str,
    socket: Path,
    parent_pipe: int,
    duty: Duty = Duty.ALL,
    aside: Sequence[Aside] = (),
) -> None:
    """Answer on `socket` until the supervisor ends it, then finish what is queued.

    A card is the only one that this process sees; models that are set `aside` get no work from the beginning. Raises
    the error that the device died of.
    """
    watch_parent(parent_pipe)
    keep_memory()
    store = ModelStore.of(settings)
    opened = open_device(
        device,
        at=SEEN if is_card(device) else None,
        threads=settings.engine_threads,
        most_threads=settings.most_engine_threads,
        most_rows=MOST_ROWS,
    )
    instruments = Instruments()
    forms = FormChoice.of(settings)
    engine = Engine(store, opened, instruments=instruments, queue_limit=settings.queue_limit, forms=forms, duty=duty)
    tracer = tracer_of(settings, "engine")
    noting = Noting.of(settings, instruments, device, tracer)
    listener = Listener(
        engine,
        memory_bytes=settings.shared_memory_bytes,
        over=noting,
        together=noting.together,
        bits=opened.bits,
    )
    engine.on_change.append(listener.send_status)
    engine.on_change.append(freeze_garbage)
    terminated = asyncio.Event()
    on_terminate(terminated.set)
    for each in aside:
        await engine.set_aside(each)
    serving = await engine.start()
    await listener.listen(socket)
    await _meet(listener, Meeting.of(settings), socket)
    vitals = DeviceVitals(instruments.conditions, opened)
    beat(parent_pipe, settings.beat_s, opened.steps.open, also=vitals.note)
    log.info("listening for work on %s (%s)", device, opened.kind)
    waiting = asyncio.create_task(terminated.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    await engine.stop()
    await asyncio.sleep(0)  # the last answers leave at the end of the turn
    await listener.close()
    await asyncio.to_thread(tracer.flush)
    instruments.tally.flush()


async def _meet(listener: Listener, meeting: Meeting | None, socket: Path) -> None:
    """Answer other services too, where they may ask. Raises ConfigurationError where the address cannot be had."""
    if meeting is None or duty_of(socket) is Duty.FORECASTS:
        return
    address = meeting.address_of(number_of(socket))
    try:
        await listener.listen_to_peers(address, meeting.secret)
    except OSError as error:
        raise ConfigurationError(f"CHAPTERHOUSE_ENGINES_ADDRESS: cannot listen on {address}: {error}.") from error
    log.info("listening for work of other services on %s", address)
