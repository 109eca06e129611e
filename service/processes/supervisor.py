"""The supervisor: binds the port, starts the processes, restarts what dies or hangs, holds the models, drains."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from service.errors import ConfigurationError, EngineUnavailable, ModelNotFound, ServiceError, WrongTask
from service.machine import cores, memory_bytes, progress, waited_s
from service.processes.child import Child
from service.processes.lifeline import EXIT_CONFIGURATION, EXIT_UNAVAILABLE
from service.processes.migration import Migration
from service.processes.setting_aside import SettingAside
from service.processes.systemd import Systemd
from service.processes.watching import Watch
from service.runtime.aside import written
from service.runtime.calls import LoadedModel
from service.runtime.cards.naming import devices_of, duties_of
from service.runtime.duties import Duty, socket_of
from service.runtime.link import ConnectionLost, Link
from service.runtime.listener import Listener
from service.runtime.peers import Meeting
from service.runtime.pool import EnginePool
from service.runtime.work import Work
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments, forget_process
from service.telemetry.vitals import Vitals

log = logging.getLogger(__name__)

BACKOFF_FIRST_S = 0.2
BACKOFF_LAST_S = 10.0
DEVICE_BACKOFF_LAST_S = 60.0
"""Between two tries to open a device that was lost, each of which loads torch anew."""
STEADY_S = 5.0
"""A child that began to beat and lived this long is started again at once."""
ENGINE_STOP_S = 10.0
CHILD = (sys.executable, "-m", "service")
"""The program of every child; its role comes next."""


def bind(settings: Settings) -> socket.socket:
    """Bind the one listening socket that all fronts share. Raises ConfigurationError where the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Is another service running there?"
        ) from error
    return listening


class WantedModels:
    """Behind the supervisor's own socket: which models every engine must hold, also after a restart."""

    def __init__(self, wanted: set[str], pool: EnginePool, aside: SettingAside | None = None) -> None:
        self.wanted = wanted
        self._pool = pool
        self._aside = aside

    async def load(self, model_id: str) -> None:
        """Want a model, and load it everywhere now; where no engine is there, the next one loads it.

        A model that an engine died of is not wanted: the next one would die of it too. One that is set aside is so no
        more.
        """
        if self._aside is not None:
            await self._aside.lift(model_id)
        try:
            await self._pool.load(model_id)
        except ConnectionLost:
            raise
        except EngineUnavailable:
            self.wanted.add(model_id)
            raise
        self.wanted.add(model_id)

    async def load_again(self, model_id: str) -> None:
        """Load a model everywhere that was set aside, if it is wanted still."""
        try:
            if model_id in self.wanted:
                await self._pool.load(model_id)
        except ServiceError as error:
            log.warning("%s is tried again and cannot be loaded: %s", model_id, error.detail)

    async def unload(self, model_id: str) -> None:
        """Stop wanting a model, and let go of it everywhere."""
        self.wanted.discard(model_id)
        await self._pool.unload(model_id)

    def models(self) -> Mapping[str, LoadedModel]:
        """Nothing: engines tell the fronts themselves."""
        return {}

    def rows_waiting(self) -> int:
        """None."""
        return 0

    def enqueue(self, work: Work) -> None:
        """Refuse: the supervisor does no work."""
        work.finish(ServiceError("The supervisor runs no models."))

    def cancel(self, work: Work) -> None:
        """Nothing was taken."""


class Supervisor:
    """One service on this machine."""

    def __init__(
        self,
        settings: Settings,
        listening: socket.socket,
        runtime_dir: Path,
        metrics_dir: Path,
        program: Sequence[str] = CHILD,
    ) -> None:
        self._settings = settings
        self._program = program
        self._listening = listening
        self._runtime_dir = runtime_dir
        self._metrics_dir = metrics_dir
        self.instruments = Instruments()
        self._vitals = Vitals(self.instruments.conditions, "supervisor")
        self._systemd = Systemd()
        self._serves = False
        self._stopping = asyncio.Event()
        self._broken: str | None = None
        self._watch: Watch[Child] = Watch(settings)
        for counter in (self.instruments.restarts, self.instruments.conditions.heartbeats_missed):
            self.instruments.begin_at_zero(counter, "front", "engine", "evaluator")
        devices, doubt = devices_of(settings.devices)
        if doubt:
            log.warning(doubt)
        duties = duties_of(devices)
        sockets = [socket_of(runtime_dir, number, duty) for number, (_, duty) in enumerate(duties)]
        self._engines = [
            Child("engine", ["--device", device, "--duty", duty, "--socket", str(path)], device=device)
            for (device, duty), path in zip(duties, sockets, strict=True)
        ]
        self._needed = [
            engine for engine, (_, duty) in zip(self._engines, duties, strict=True) if duty is not Duty.FORECASTS
        ]
        places = ["--sockets", *map(str, sockets)]
        control = ["--control", str(runtime_dir / "supervisor.sock")]
        self._evaluators = [Child("evaluator", [*control, *places]) for _ in range(settings.evaluators)]
        listen = ["--listen-fd", str(listening.fileno()), "--metrics-dir", str(metrics_dir), *control, *places]
        self._fronts = [Child("front", listen, (listening.fileno(),)) for _ in range(settings.fronts)]
        if settings.grpc_port is not None:
            at = ["--http-port", str(listening.getsockname()[1]), "--metrics-dir", str(metrics_dir)]
            self._fronts.append(Child("grpc", [*at, *control, *places]))
        self._pool = EnginePool(sockets, on_connect=self._converge)
        self._check_state()
        Meeting.of(settings)  # which says what is wrong with it
        self._aside = SettingAside(settings.set_aside_s, self._pool, self.instruments.conditions)
        self._models = WantedModels(self._check_wanted(), self._pool, self._aside)
        self._loads: set[asyncio.Task[None]] = set()
        self._control = Listener(self._models, beats=False)
        self._migration = Migration(settings)
        self._migration.try_once()

    def _check_state(self) -> None:
        state = self._settings.state
        try:
            state.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=state):
                pass
        except OSError as error:
            raise ConfigurationError(f"CHAPTERHOUSE_STATE_DIR: cannot write into {state}: {error.strerror}.") from error

    def _check_wanted(self) -> set[str]:
        """The models to load at once. Raises ConfigurationError for a setting that names none of the store's."""
        store, settings = ModelStore.of(self._settings), self._settings
        preloaded = (("preload", model_id, None) for model_id in settings.preload)
        for setting, model_id, task in (*settings.default_models, *preloaded):
            try:
                store.get(model_id, task=task)
            except (ModelNotFound, WrongTask) as error:
                raise ConfigurationError(f"CHAPTERHOUSE_{setting.upper()}: {error.detail}") from error
        return set(settings.wanted_models)

    async def run(self) -> int:
        """Serve until SIGTERM or Ctrl-C; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        await self._control.listen(self._runtime_dir / "supervisor.sock")
        await self._pool.start()
        log.info("%d cores and %.1f GiB of memory are there for it", cores(), memory_bytes() / (1 << 30))
        for child in (*self._engines, *self._evaluators, *self._fronts):
            child.keeper = asyncio.create_task(self._keep(child))
        watching = asyncio.create_task(self._end_what_hangs())
        migrating = asyncio.create_task(self._migrate())
        await self._stopping.wait()
        migrating.cancel()
        log.info("stopping: no new work, what is queued finishes")
        self._systemd.stopping()
        self._listening.close()  # the fronts hold it for as long as they take connections
        patience = self._settings.drain_delay_s + self._settings.drain_timeout_s
        await self._end(self._fronts, patience)
        await self._end(self._evaluators, ENGINE_STOP_S)
        await self._pool.stop()
        await self._end(self._engines, ENGINE_STOP_S)
        await self._control.close()
        watching.cancel()
        if self._broken is not None:
            raise ConfigurationError(self._broken)
        return 0

    async def _migrate(self) -> None:
        """Bring a database that did not answer at the start to this version; end the service where it is newer."""
        try:
            await self._migration.insist()
        except ConfigurationError as error:
            self._broken = str(error)
            self._stopping.set()

    async def _converge(self, link: Link) -> None:
        """Make a new engine hold what is wanted, and refuse what is set aside."""
        for aside in self._aside:
            await link.set_aside(aside)
        for model_id in sorted(self._models.wanted):
            try:
                await link.load(model_id)
            except ConnectionLost:
                return  # the next engine in its place is asked again
            except ServiceError as error:
                log.error("%s is wanted and cannot be loaded: %s", model_id, error.detail)  # noqa: TRY400

    async def _keep(self, child: Child) -> None:
        """Start a child again whenever it dies, later each time it dies young."""
        delay = 0.0
        while True:
            began = time.monotonic()
            child.code = await self._live(child)
            if child.ending:
                return
            if self._is_for_ever(child):
                self._broken = f"The {child.role} cannot start; its log says why."
                child.ending = True
                self._stopping.set()
                return
            self.instruments.restarts.labels(child.role).inc()
            steady = child.beats and time.monotonic() - began > STEADY_S
            longest = DEVICE_BACKOFF_LAST_S if child.code == EXIT_UNAVAILABLE else BACKOFF_LAST_S
            delay = 0.0 if steady else min(longest, delay * 2 or BACKOFF_FIRST_S)
            what = f"{child.device} is down; its engine" if child.code == EXIT_UNAVAILABLE else f"the {child.role}"
            log.warning("%s ended with %s; starting it again in %.1f s", what, child.code, delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    def _is_for_ever(self, child: Child) -> bool:
        """Whether a child that ended would end so again and leave nothing to serve with."""
        if child.code == EXIT_UNAVAILABLE:
            return all(engine.code == EXIT_UNAVAILABLE and not engine.lived for engine in self._needed)
        return child.code == EXIT_CONFIGURATION and not child.lived

    async def _live(self, child: Child) -> int | None:
        """Start a process and await its end: its exit status, or None where the system would not start it."""
        self._metrics_dir.mkdir(parents=True, exist_ok=True)  # whoever sweeps temporary files may have taken it
        try:
            aside = ["--aside", written(self._aside)] if child.role == "engine" else []
            reader, writer = await child.start(self._program, *aside)
        except OSError:
            log.exception("the %s could not be started", child.role)
            return None
        assert child.process is not None
        silence_s, computes, waits = self._settings.beat_limit_s, None, partial(waited_s, child.process.pid)
        if child.role == "evaluator":
            silence_s, computes = self._settings.evaluator_beat_limit_s, partial(progress, child.process.pid)
        self._watch.begin(child, silence_s, computes, waits)
        if child.ending:
            child.end()  # it was asked to go while it was being started
        self._count(child.role)
        hearing = asyncio.create_task(self._hear(child, reader))
        code = await child.process.wait()
        hearing.cancel()
        writer.close()
        self._watch.forget(child)
        forget_process(child.process.pid, self._metrics_dir)
        self._count(child.role)
        return code

    async def _hear(self, child: Child, reader: asyncio.StreamReader) -> None:
        """Take a process's beats until it closes its end."""
        while line := await reader.readline():
            self._watch.hear(child, line)
            if not child.beats:
                child.beats = child.lived = True
                self._count(child.role)
                if child.role == "front" and not self._serves:
                    self._tell_that_it_serves()

    def _tell_that_it_serves(self) -> None:
        """Say so, now that the first front answers."""
        self._serves = True
        host, port, *_ = self._listening.getsockname()
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("serving on %s", url)
        self._systemd.serving(url, self._settings)

    async def _end_what_hangs(self) -> None:
        """Kill every child that misses a sign; its keeper starts it again."""
        while True:
            self._vitals.note()
            self._systemd.alive()
            await asyncio.sleep(self._settings.beat_s)
            for child in self._watch.late():
                self.instruments.conditions.heartbeats_missed.labels(child.role).inc()
            for child, reason, model_id in self._watch.overdue():
                log.error("the %s hangs: %s; killing it", child.role, reason)
                self._watch.forget(child)
                await self._aside.note(model_id)  # before what it held goes to the others
                child.kill()
                self._count(child.role)
            for model_id in self._aside.over():
                load = asyncio.create_task(self._models.load_again(model_id))
                self._loads.add(load)
                load.add_done_callback(self._loads.discard)

    def _count(self, role: str) -> None:
        everyone = (*self._engines, *self._evaluators, *self._fronts)
        self.instruments.processes_up.labels(role).set(sum(c.runs for c in everyone if c.role == role))
        for engine in self._engines:
            self.instruments.device_up.labels(engine.device).set(engine.runs and engine.beats)

    async def _end(self, children: list[Child], patience_s: float) -> None:
        """End children of one role; what does not go in time is killed."""
        for child in children:
            child.end()
        keepers = [child.keeper for child in children if child.keeper is not None]
        _, late = await asyncio.wait(keepers, timeout=patience_s)
        for process in (child.process for child in children if child.keeper in late):
            if process is not None and process.returncode is None:
                log.warning("killing %d, which did not stop in %.0f s", process.pid, patience_s)
                process.kill()
        if late:
            await asyncio.wait(late)
