"""An engine: one device, the models on it, a queue for each, and the loop that turns queues into batches."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
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
from service.forms.form import Form
from service.nets.pauses import Stopped
from service.runtime.calls import Array, Lane, LoadedModel
from service.runtime.devices import Device
from service.runtime.forms import Forms
from service.runtime.improving import FormChoice
from service.runtime.loading import Loading, halve
from service.runtime.queues import LATE, Batch, ModelQueue
from service.runtime.residents import Resident, Telling
from service.runtime.rows import check_rows
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


class Engine:
    """Takes submissions, answers each exactly once. All state is touched on the event loop only."""

    def __init__(
        self, store: ModelStore, device: Device, *, instruments: Instruments, queue_limit: int = 1024,
        forms: FormChoice | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._device = device
        self._telling = Telling(instruments, device.name)
        self._queue_limit = queue_limit
        self._residents: dict[str, Resident] = {}
        self._arrived = asyncio.Event()
        self._turns = Turns(device.thread)
        self._forms = Forms(forms, device, self._turns, self.rows_waiting, self._changed)
        self._in_a_row = 0
        self._long: asyncio.Task[None] | None = None
        self._long_lanes = (Lane.LONG, Lane.BULK)
        self._under_way = 0
        self._finished: tuple[Batch, list[Array]] | None = None
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
        await asyncio.gather(*loading, self._forms.stop(), return_exceptions=True)
        self._device.close()

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held, whether each is loaded, and its form."""
        states = {name: "loading" if held.net is None else "ready" for name, held in self._residents.items()}
        return {
            name: LoadedModel(held.model.version, states[name], self._device.name, self._forms.name_of(name))
            for name, held in self._residents.items()
        }

    def rows_waiting(self) -> int:
        """The rows that wait, and those of the batches under way."""
        return self._under_way + sum(len(resident.queue) for resident in self._residents.values())

    async def load(self, model_id: str) -> None:
        """Load and warm a model; returns when it is ready. Raises what stopped it."""
        self._store.refresh(model_id)
        model = self._store.get(model_id)
        await asyncio.to_thread(getattr, model, "version")  # which reads the weights where no card knows them
        known = self._residents.get(model.id)
        if known is not None and known.net is not None and known.model.version != model.version:
            await self.unload(model.id)
        if known is not None and known.leaving:
            await known.left.wait()
        resident = self._resident(model.id)
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
                self._telling.refused()
                raise Overloaded(f"{len(resident.queue)} rows already wait for {work.call.model}.").again_in(
                    resident.queue.room_in_s(work.lane)
                )
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
            self._telling.cancelled(work.call.model)
            self._discard(work)

    def _expire(self, work: Work) -> None:
        """Answer a submission whose deadline passed, whether it waits or its batch is being computed."""
        work.finish(DeadlineExceeded(LATE))
        self._discard(work)

    def _discard(self, work: Work) -> None:
        if (resident := self._residents.get(work.call.model)) is not None:
            resident.queue.discard(work)
            self._telling.waiting(resident)

    def _resident(self, model_id: str) -> Resident:
        resident = self._residents.get(model_id)
        if resident is None:
            model = self._store.get(model_id)
            serving, _ = model.manifest.serving, model.version
            queue = ModelQueue(
                max_batch=serving.max_batch, block=serving.block, limit=self._queue_limit, padded=self._device.pads
            )
            resident = self._residents[model_id] = Resident(model, queue)
            resident.loading = asyncio.create_task(self._load(resident), name=f"load-{model_id}")
            resident.loading.add_done_callback(_retrieve)
            self._changed()
        return resident

    async def _load(self, resident: Resident) -> None:
        model_id = resident.model.id
        began = time.monotonic()
        try:
            net = await Loading(self._device, self._turns, resident.model, resident.queue).run()
            await self._forms.recall(resident.model, net)
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
        self._telling.loaded(resident.model, there=True)
        log.info("%s %s is warm on %s after %.2f s", model_id, resident.model.version, self._device.name,
                 time.monotonic() - began)  # fmt: skip
        self._forms.search(resident.model, net)
        self._changed()
        self._arrived.set()

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()

    async def _serve(self) -> None:
        """Keep the device busy: the answers of a batch leave while the next one is computed."""
        while True:
            if self._lost is not None:
                self._deliver()
                raise self._lost
            self._remove_leaving()
            choice = self._choose()
            if choice is None:
                self._deliver()
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
                self._telling.waiting(resident)
                continue
            if lane is Lane.INTERACTIVE:
                self._in_a_row += 1
                await self._work_on(resident, batch)
            else:
                self._begin_long(resident, batch, lane)
                await asyncio.sleep(0)  # so that it comes to the device before what is chosen next

    def _deliver(self) -> None:
        """Answer the callers of the last batch, if they do not have their answers yet."""
        finished, self._finished = self._finished, None
        if finished is not None:
            batch, results = finished
            self._under_way -= batch.rows
            batch.deliver(results)

    def _begin_long(self, resident: Resident, batch: Batch, lane: Lane) -> None:
        """Run a batch whose pauses are for what comes meanwhile; one at a time, the lanes in turn."""
        self._in_a_row = 0
        self._long_lanes = (Lane.BULK, Lane.LONG) if lane is Lane.LONG else (Lane.LONG, Lane.BULK)
        self._long = asyncio.create_task(self._work_long_on(resident, batch))
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
                self._deliver()
                self._forms.forget(model_id)
                del self._residents[model_id]
                resident.left.set()
                self._telling.loaded(resident.model, there=False)
                self._changed()

    async def _linger(self, resident: Resident) -> None:
        """Wait a moment for the callers of the last batch to come back, where that is cheap beside the work itself."""
        limit = resident.mean_forward_s * LINGER_SHARE
        wanted = min(resident.last_rows, resident.queue.most[Lane.INTERACTIVE])
        if limit < LINGER_LEAST_S:
            return
        self._deliver()  # for they are who may come back
        end = time.monotonic() + limit
        queue = resident.queue
        while queue.rows[Lane.INTERACTIVE] < wanted and (left := end - time.monotonic()) > 0:
            queue.changed.clear()
            try:
                await asyncio.wait_for(queue.changed.wait(), min(left, LINGER_PAUSE_S))
            except TimeoutError:
                return

    async def _work_on(self, resident: Resident, batch: Batch) -> None:
        """Forward a batch of short work; its answers wait until the device has something else to do, or nothing."""
        self._under_way += batch.rows
        results = None
        try:
            results = await self._run(resident, batch)
        finally:
            if results is None:
                self._under_way -= batch.rows
            else:
                self._finished = batch, results

    async def _work_long_on(self, resident: Resident, batch: Batch) -> None:
        self._under_way += batch.rows
        try:
            if (results := await self._run(resident, batch, pausing=True)) is not None:
                batch.deliver(results)
        finally:
            self._under_way -= batch.rows

    async def _run(self, resident: Resident, batch: Batch, *, pausing: bool = False) -> list[Array] | None:
        """Forward a batch. None where that is over: one bad item fails alone, what is too much is cut and answered."""
        model_id = resident.model.id
        began = time.monotonic()
        self._telling.begun(resident, batch, began)
        assert resident.net is not None
        net = self._forms.of(batch, resident.net)
        forwarding = self._on_device(net, resident.model, batch, pausing=pausing)
        self._deliver()
        try:
            results = await forwarding
        except Stopped:
            return None
        except InvalidRequest as error:
            # Calls that share a batch are equal, and so is what is wrong with them.
            for share in batch.shares:
                share.work.finish(error)
            return None
        except Exception as error:
            if self._forms.failed(resident.model, net, error):
                return await self._run(resident, batch, pausing=pausing)
            self._telling.failed(model_id)
            if self._device.is_lost(error):
                raise
            await self._run_apart(resident, batch, error, pausing=pausing)
            return None
        ended = time.monotonic()
        seconds = ended - began
        batch.end(seconds, ended)
        if task_of(batch.call.verb).warmed and not pausing:
            resident.note(batch, seconds)
        self._telling.forwarded(model_id, seconds)
        return results

    async def _run_apart(self, resident: Resident, batch: Batch, error: Exception, *, pausing: bool) -> None:
        """After a failure: halves, so that only the bad submission fails, or batches that are not too much at once."""
        too_much = self._device.is_out_of_memory(error)
        parts = batch.between_rows() if too_much else batch.between_submissions()
        if too_much and parts:
            await halve(self._device, self._turns, resident.model, resident.queue, batch)
        for part in parts:
            if part.is_wanted() and (results := await self._run(resident, part, pausing=pausing)) is not None:
                part.deliver(results)
        if parts:
            return
        log.error("%s failed on a batch of %d", resident.model.id, batch.rows, exc_info=error)
        raised = f"ran out of memory on {batch.size} rows at once" if too_much else f"raised {type(error).__name__}"
        for share in batch.shares:
            share.work.finish(ModelFailed(f"{resident.model.id} {raised} on this input."))

    def _on_device(
        self, net: nn.Module | Form, model: Model, batch: Batch, *, pausing: bool = False
    ) -> Awaitable[list[Array]]:
        if pausing:
            return self._turns.long(partial(self._goes_on, batch), self._device.forward_pausing, net, model, batch)
        return self._turns.short(self._device.forward, net, model, batch)

    def _goes_on(self, batch: Batch) -> bool:
        """Whether a batch that pauses is wanted still; a pause is progress."""
        self._device.steps.renew()
        return batch.is_wanted()


def _retrieve(task: "asyncio.Task[None]") -> None:
    """A failed load has been logged and answered; nobody else needs to await it."""
    if not task.cancelled():
        task.exception()
