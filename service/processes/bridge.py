"""An engine process whose device is a Ray cluster: a unix socket on this side, replicas on the other."""

import asyncio
import logging
import os
import socket as sockets
from collections.abc import Mapping
from pathlib import Path

from service.errors import ConfigurationError, EngineUnavailable, ServiceError
from service.processes.lifeline import beat, freeze_garbage, on_terminate, watch_parent
from service.runtime.calls import EngineControl, Engines, LoadedModel
from service.runtime.listener import Listener
from service.runtime.work import Work
from service.settings import Settings
from service.telemetry.instruments import Instruments
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)


class Bridge:
    """What listens behind the socket: it passes everything on."""

    def __init__(self, engines: Engines, control: EngineControl) -> None:
        self._engines = engines
        self._control = control
        self._under_way: dict[Work, asyncio.Task[None]] = {}

    def enqueue(self, work: Work) -> None:
        """Take a submission; its answer comes through `work.answer`."""
        task = asyncio.create_task(self._pass_on(work))
        self._under_way[work] = task
        task.add_done_callback(lambda _: self._under_way.pop(work, None))

    async def _pass_on(self, work: Work) -> None:
        try:
            work.finish(
                await self._engines.submit(
                    work.call, work.arrays, lane=work.lane, deadline=work.deadline, request_id=work.request_id
                )
            )
        except ServiceError as error:
            work.finish(error)
        except Exception:
            log.exception("%s of %s failed on its way", work.call.verb, work.call.model)
            work.finish(EngineUnavailable("The cluster of engines does not answer."))

    def cancel(self, work: Work) -> None:
        """Take a submission out."""
        work.close()
        if (task := self._under_way.get(work)) is not None:
            task.cancel()

    async def load(self, model_id: str) -> None:
        """Load and warm a model in every engine of the cluster."""
        await self._control.load(model_id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model in every engine of the cluster."""
        await self._control.unload(model_id)

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held."""
        return self._engines.models()

    def rows_waiting(self) -> int:
        """The rows that are not answered yet."""
        return sum(work.rows for work in self._under_way)

    async def finish(self) -> None:
        """Return when everything that was taken is answered."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


async def run_bridge(settings: Settings, *, socket: Path, parent_pipe: int) -> None:
    """Answer on `socket` until the supervisor ends it. Raises ConfigurationError where there is none, or no Ray."""
    watch_parent(parent_pipe)
    instruments = Instruments()
    beat(parent_pipe, settings.beat_s, also=Vitals(instruments.conditions, "engine").note)
    try:
        from service.remote.connecting import engines_of_cluster
    except ImportError as error:
        raise ConfigurationError("CHAPTERHOUSE_DEVICES: `ray` needs `pip install 'ray[serve]'`.") from error

    engines = await asyncio.to_thread(engines_of_cluster, f"{sockets.gethostname()}-{os.getpid()}")
    bridge = Bridge(engines, engines)
    listener = Listener(bridge, width=engines.width)
    engines.on_status = listener.send_status
    terminated = asyncio.Event()
    on_terminate(terminated.set)
    await engines.start()
    await listener.listen(socket)
    freeze_garbage()
    log.info("listening for work of the cluster")
    await terminated.wait()
    await bridge.finish()
    await asyncio.sleep(0)  # the last answers leave at the end of the turn
    await listener.close()
    await engines.stop()
    instruments.tally.flush()
