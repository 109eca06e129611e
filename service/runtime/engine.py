"""An engine: one device, the models on it, a queue for each, and the loop that turns queues into batches."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import nn

from service.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    InvalidRequest,
    ModelFailed,
    Overloaded,
    ServiceError,
)
from service.nets.pauses import Stopped
from service.runtime.calls import Array, Lane, LoadedModel
from service.runtime.devices import Device
from service.runtime.queues import LATE, Batch, ModelQueue
from service.runtime.rows import check_rows, warm_batches
from service.runtime.turns import TURN, Turns
from service.runtime.work import Work
from service.store import Model, ModelStore
from service.tasks.registry import task_of
from service.telemetry.instruments import Instruments

log = logging.getLogger(__name__)

LINGER_SHARE = 0.05
"""The longest wait for company, as a share of the mean forward time."""
LINGER_PAUSE_S = 0.002
"""Arrivals that pause this long end the wait."""
LINGER_LEAST_S = 0.001
"""Waits shorter than a timer's grain are not worth their wake-up."""


@dataclass(eq=False)
class Resident:
    """A model in an engine: its queue from the moment it is wanted, its net once it is loaded."""

    model: Model
    queue: ModelQueue
    net: nn.Module | None = None
    loading: "asyncio.Task[None] | None" = None
    leaving: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)
    mean_forward_s: float = 0.0
    last_rows: int = 0


class Engine:
    """Takes submissions, answers each exactly once. All state is touched on the event loop only."""

    def __init__(self, store: ModelStore, device: Device, *, instruments: Instruments, queue_limit: int = 1024) -> None:
        self._store = store
        self._device = device
        self._instruments = instruments
        self._queue_limit = queue_limit
        instruments.begin_at_zero(instruments.rejected, "queue_full")
        self._residents: dict[str, Resident] = {}
        self._arrived = asyncio.Event()
        self._turns = Turns(device.thread)
        self._in_a_row = 0
        self._long: asyncio.Task[None] | None = None
        self._long_lanes = (Lane.LONG, Lane.BULK)
        self._under_way = 0
        self._stopping = False
        self._lost: BaseException | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self.on_change: list[Callable[[], None]] = []

    async def start(self) -> "asyncio.Task[None]":
        """Begin to serve; until `stop` is called the task ends only with the error that the device died of."""
        self._loop_task = asyncio.create_task(self._serve(), name=f"engine-{self._device.name}")
        return self._loop_task

    async def stop(self) -> None:
        """Finish what is queued, then let go of the device."""
        self._stopping = True
        self._arrived.set()
        if self._loop_task is not None:
            await asyncio.gather(self._loop_task, return_exceptions=True)
        loading = [resident.loading for resident in self._residents.values() if resident.loading is not None]
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)
        self._device.close()

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held, and whether each is loaded."""
        return {
            model_id: LoadedModel(
                resident.model.version, "ready" if resident.net is not None else "loading", self._device.name
            )
            for model_id, resident in self._residents.items()
        }

    def rows_waiting(self) -> int:
        """The rows that wait, and those of the batches under way."""
        return self._under_way + sum(len(resident.queue) for resident in self._residents.values())

    async def load(self, model_id: str) -> None:
        """Load and warm a model; returns when it is ready. Raises what stopped it."""
        self._store.refresh(model_id)
        model = self._store.get(model_id)
        await asyncio.to_thread(getattr, model, "version")  # which reads the weights where no card knows them
        known = self._residents.get(model_id)
        if known is not None and known.net is not None and known.model.version != model.version:
            await self.unload(model_id)
        if known is not None and known.leaving:
            await known.left.wait()
        resident = self._resident(model_id)
        if resident.loading is not None:
            await asyncio.shield(resident.loading)

    async def unload(self, model_id: str) -> None:
        """Let go of a model once what waits for it is done."""
        resident = self._residents.get(model_id)
        if resident is None:
            return
        resident.leaving = True
        self._arrived.set()
        await resident.left.wait()

    def enqueue(self, work: Work) -> None:
        """Take a submission; its answer comes through `work.answer`, refusals too."""
        try:
            if self._loop_task is None or self._loop_task.done():
                raise EngineUnavailable("This engine does not run.")
            resident = self._resident(work.call.model)
            check_rows(work, resident.model)
            if work.lane is Lane.INTERACTIVE and task_of(work.call.verb, work.call.options).pauses != "never":
                work.lane = Lane.LONG
            if not resident.queue.has_room(work):
                self._instruments.rejected.labels("queue_full").inc()
                raise Overloaded(f"{len(resident.queue)} rows already wait for {work.call.model}.")
        except ServiceError as error:
            work.finish(error)
            return
        resident.queue.put(work)
        if work.deadline is not None:
            # The clock of deadlines is the loop's own.
            work.expiry = asyncio.get_running_loop().call_at(work.deadline, self._expire, work)
        self._arrived.set()

    def cancel(self, work: Work) -> None:
        """Take a submission out: nobody waits for it any more."""
        if not work.over:
            work.close()
            self._instruments.cancelled.labels(work.call.model).inc()
            self._discard(work)

    def _expire(self, work: Work) -> None:
        """Answer a submission whose deadline passed, whether it waits or its batch is being computed."""
        work.finish(DeadlineExceeded(LATE))
        self._discard(work)

    def _discard(self, work: Work) -> None:
        if (resident := self._residents.get(work.call.model)) is not None:
            resident.queue.discard(work)
            self._observe_waiting(resident)

    def _resident(self, model_id: str) -> Resident:
        resident = self._residents.get(model_id)
        if resident is None:
            model = self._store.get(model_id)
            serving, _ = model.manifest.serving, model.version
            queue = ModelQueue(max_batch=serving.max_batch, block=serving.block, limit=self._queue_limit)
            resident = self._residents[model_id] = Resident(model, queue)
            resident.loading = asyncio.create_task(self._load(resident), name=f"load-{model_id}")
            resident.loading.add_done_callback(_retrieve)
            self._changed()
        return resident

    async def _load(self, resident: Resident) -> None:
        model_id = resident.model.id
        began = time.monotonic()
        try:
            net = await asyncio.to_thread(self._device.place, resident.model)
            for batch in warm_batches(resident.model):
                await self._warm(resident, net, batch)
        except Exception as error:
            if self._device.is_lost(error):
                self._lost = error  # who waits is tried once more, when this process is another
                self._arrived.set()
                raise
            del self._residents[model_id]
            resident.left.set()
            failure = self._device.refusal(error, resident.model)
            for work in resident.queue.drain():
                work.finish(failure)
            log.exception("%s cannot be loaded", model_id)
            self._changed()
            self._arrived.set()
            raise failure from error
        resident.net = net
        resident.loading = None
        for counter in (self._instruments.model_failures, self._instruments.cancelled):
            self._instruments.begin_at_zero(counter, model_id)
        self._instruments.model_loaded.labels(model_id, resident.model.version, self._device.name).set(1)
        log.info("%s %s is warm on %s after %.2f s", model_id, resident.model.version, self._device.name,
                 time.monotonic() - began)  # fmt: skip
        self._changed()
        self._arrived.set()

    async def _warm(self, resident: Resident, net: nn.Module, batch: Batch) -> None:
        """Forward a batch of zeros; sizes that are too much for the device are not used, unless there is no other."""
        try:
            await self._on_device(net, resident.model, batch)
        except Exception as error:
            if batch.exact or batch.size == 1 or not self._device.is_out_of_memory(error):
                raise
            await self._halve(resident, Lane.INTERACTIVE, batch.size)

    async def _halve(self, resident: Resident, lane: Lane, size: int) -> None:
        """Make smaller batches of a model from now on."""
        resident.queue.halve(lane, size)
        log.warning("%d rows of %s are more than %s has memory for; batches have at most %d from now on",
                    size, resident.model.id, self._device.name, resident.queue.most[lane])  # fmt: skip
        await self._turns.short(self._device.relieve)

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()

    async def _serve(self) -> None:
        while True:
            if self._lost is not None:
                raise self._lost
            self._remove_leaving()
            choice = self._choose()
            if choice is None:
                if self._stopping and self._long is None and not self._any_waits():
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            resident, lane = choice
            if lane is Lane.INTERACTIVE:
                await self._linger(resident)
            batch = resident.queue.take(lane)
            if batch is None:
                self._observe_waiting(resident)
                continue
            if lane is Lane.INTERACTIVE:
                self._in_a_row += 1
                await self._work_on(resident, batch)
            else:
                self._begin_long(resident, batch, lane)
                await asyncio.sleep(0)  # so that it comes to the device before what is chosen next

    def _begin_long(self, resident: Resident, batch: Batch, lane: Lane) -> None:
        """Run a batch whose pauses are for what comes meanwhile; one at a time, the lanes in turn."""
        self._in_a_row = 0
        self._long_lanes = (Lane.BULK, Lane.LONG) if lane is Lane.LONG else (Lane.LONG, Lane.BULK)
        self._long = asyncio.create_task(self._work_on(resident, batch, pausing=True))
        self._long.add_done_callback(self._end_long)

    def _end_long(self, ended: "asyncio.Task[None]") -> None:
        self._long = None
        if not ended.cancelled() and (error := ended.exception()) is not None:
            self._lost = error
        self._arrived.set()

    def _any_waits(self) -> bool:
        return any(len(resident.queue) for resident in self._residents.values())

    def _choose(self) -> tuple[Resident, Lane] | None:
        """The next queue in turn: any with short work; else, and now and then before it, any with long work."""
        long = self._long_lanes if self._long is None else ()
        lanes = (Lane.INTERACTIVE, *long) if self._in_a_row < TURN else (*long, Lane.INTERACTIVE)
        for lane in lanes:
            for model_id, resident in self._residents.items():
                if resident.net is not None and resident.queue.rows[lane]:
                    self._residents[model_id] = self._residents.pop(model_id)
                    return resident, lane
        return None

    def _remove_leaving(self) -> None:
        for model_id, resident in list(self._residents.items()):
            if resident.leaving and resident.net is not None and not len(resident.queue) and self._long is None:
                del self._residents[model_id]
                resident.left.set()
                labels = (model_id, resident.model.version, self._device.name)
                self._instruments.model_loaded.labels(*labels).set(0)
                self._changed()

    async def _linger(self, resident: Resident) -> None:
        """Wait a moment for the callers of the last batch to come back, where that is cheap beside the work itself."""
        limit = resident.mean_forward_s * LINGER_SHARE
        wanted = min(resident.last_rows, resident.queue.most[Lane.INTERACTIVE])
        if limit < LINGER_LEAST_S:
            return
        end = time.monotonic() + limit
        queue = resident.queue
        while queue.rows[Lane.INTERACTIVE] < wanted and (left := end - time.monotonic()) > 0:
            queue.changed.clear()
            try:
                await asyncio.wait_for(queue.changed.wait(), min(left, LINGER_PAUSE_S))
            except TimeoutError:
                return

    async def _work_on(self, resident: Resident, batch: Batch, *, pausing: bool = False) -> None:
        self._under_way += batch.rows
        try:
            await self._run(resident, batch, pausing=pausing)
        finally:
            self._under_way -= batch.rows

    async def _run(self, resident: Resident, batch: Batch, *, pausing: bool) -> None:
        """Forward a batch and answer everybody in it; one bad item fails alone, and what is too much is cut."""
        model_id = resident.model.id
        began = time.monotonic()
        self._observe_queue(resident, batch, began)
        try:
            assert resident.net is not None
            results = await self._on_device(resident.net, resident.model, batch, pausing=pausing)
        except Stopped:
            return
        except InvalidRequest as error:
            # Calls that share a batch are equal, and so is what is wrong with them.
            for share in batch.shares:
                share.work.finish(error)
            return
        except Exception as error:
            self._instruments.model_failures.labels(model_id).inc()
            if self._device.is_lost(error):
                raise
            await self._run_apart(resident, batch, error, pausing=pausing)
            return
        seconds = time.monotonic() - began
        if task_of(batch.call.verb).warmed and not pausing:
            resident.mean_forward_s += (seconds - resident.mean_forward_s) * (0.1 if resident.mean_forward_s else 1.0)
            resident.last_rows = batch.rows
        self._instruments.forward_seconds.labels(model_id).observe(seconds)
        at = 0
        for share in batch.shares:
            share.deliver([result[at : at + share.rows] for result in results])
            at += share.rows

    async def _run_apart(self, resident: Resident, batch: Batch, error: Exception, *, pausing: bool) -> None:
        """After a failure: halves, so that only the bad submission fails, or batches that are not too much at once."""
        too_much = self._device.is_out_of_memory(error)
        parts = batch.between_rows() if too_much else batch.between_submissions()
        if too_much and parts:
            await self._halve(resident, batch.shares[0].work.lane, batch.size)
        for part in parts:
            if part.is_wanted():
                await self._run(resident, part, pausing=pausing)
        if parts:
            return
        log.error("%s failed on a batch of %d", resident.model.id, batch.rows, exc_info=error)
        raised = f"ran out of memory on {batch.size} rows at once" if too_much else f"raised {type(error).__name__}"
        for share in batch.shares:
            share.work.finish(ModelFailed(f"{resident.model.id} {raised} on this input."))

    async def _on_device(self, net: nn.Module, model: Model, batch: Batch, *, pausing: bool = False) -> list[Array]:
        if pausing:
            return await self._turns.long(
                partial(self._goes_on, batch), self._device.forward_pausing, net, model, batch
            )
        return await self._turns.short(self._device.forward, net, model, batch)

    def _goes_on(self, batch: Batch) -> bool:
        """Whether a batch that pauses is wanted still; a pause is progress."""
        self._device.steps.renew()
        return batch.is_wanted()

    def _observe_queue(self, resident: Resident, batch: Batch, began: float) -> None:
        model_id = resident.model.id
        self._instruments.batch_rows.labels(model_id).observe(batch.rows)
        fill = batch.rows / (batch.size if batch.exact else resident.queue.most[batch.shares[0].work.lane])
        self._instruments.conditions.batch_fill_ratio.labels(model_id).observe(fill)
        self._instruments.queue_seconds.labels(model_id).observe(began - batch.shares[0].work.arrived)
        self._observe_waiting(resident)

    def _observe_waiting(self, resident: Resident) -> None:
        self._instruments.queue_rows.labels(resident.model.id, self._device.name).set(len(resident.queue))


def _retrieve(task: "asyncio.Task[None]") -> None:
    """A failed load has been logged and answered; nobody else needs to await it."""
    if not task.cancelled():
        task.exception()
