"""An engine: one device, the models on it, a queue for each, and the loop that turns queues into batches."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

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
from service.runtime.aside import Aside
from service.runtime.bunches import Bunch
from service.runtime.calls import Array, Lane, LoadedModel
from service.runtime.devices import Device
from service.runtime.duties import Duty
from service.runtime.flights import Flights
from service.runtime.forms import Forms
from service.runtime.holding import Holding
from service.runtime.loading import halve
from service.runtime.queues import LATE, Batch
from service.runtime.residents import Resident, Telling
from service.runtime.rows import check_rows, goes_together
from service.runtime.turns import TURN, Turns
from service.runtime.work import Work
from service.store import Model, ModelStore
from service.tasks.registry import task_of
from service.telemetry.instruments import Instruments
from service.telemetry.logs import plain, told

if TYPE_CHECKING:
    from service.runtime.improving import FormChoice

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
        forms: "FormChoice | None" = None, duty: Duty = Duty.ALL, tried: bool = True,
    ) -> None:  # fmt: skip
        self._device = device
        self._telling = Telling(instruments, device.name)
        self._arrived = asyncio.Event()
        self._turns = Turns(device.thread)
        self._forms = Forms(forms, device, self._turns, self.rows_waiting, self._changed)
        self._holding = Holding(
            store,
            device,
            self._turns,
            self._forms,
            self._telling,
            queue_limit=queue_limit,
            duty=duty,
            tried=tried,
            changed=self._changed,
            lost=self._lose,
        )
        self._in_a_row = 0
        self._long: asyncio.Task[None] | None = None
        self._long_lanes = (Lane.LONG, Lane.BULK)
        self._flights = Flights(device.in_flight)
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
        await self._holding.stop()
        await self._forms.stop()
        self._device.close()

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held, whether each is loaded, and its form."""
        return self._holding.told()

    def rows_waiting(self) -> int:
        """The rows that wait, and those of the batches under way."""
        return self._under_way + sum(len(resident.queue) for resident in self._holding)

    async def load(self, model_id: str) -> None:
        """Load and warm a model; returns when it is ready. Raises what stopped it."""
        await self._holding.load(model_id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model once what waits for it is done."""
        await self._holding.unload(model_id)

    async def set_aside(self, aside: Aside) -> None:
        """Refuse work for a model for a while, and what waits for it already."""
        self._holding.set_aside(aside)

    def enqueue(self, work: Work) -> None:
        """Take a submission; its answer comes through `work.answer`, refusals too."""
        try:
            if self._loop_task is None or self._loop_task.done():
                raise EngineUnavailable("This engine does not run.")
            resident = self._holding.resident(work.call.model)
            check_rows(work, resident.model)
            if isinstance(work, Bunch) and not (goes_together(work) and resident.queue.has_room(work)):
                for single in work.waiting():
                    self.enqueue(single)
                return
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

    def part(self, bunch: Bunch, row: int) -> Work:
        """The submission of its own that a row of a bunch is from now on."""
        if (resident := self._holding.get(bunch.call.model)) is not None:
            resident.queue.part(bunch)
        return bunch.part(row)

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
        if (resident := self._holding.get(work.call.model)) is not None:
            resident.queue.discard(work)
            self._telling.waiting(resident)

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()
        self._arrived.set()

    def _lose(self, error: BaseException) -> None:
        """Nothing more will run on this device."""
        self._lost = self._lost or error
        self._arrived.set()

    async def _serve(self) -> None:
        """Keep the device busy: the answers of a batch leave while the next one is computed."""
        while True:
            if self._lost is not None:
                self._deliver()
                raise self._lost
            await self._holding.remove_leaving()
            choice = self._choose()
            if choice is None:
                self._deliver()
                if self._stopping and not self._is_at_work and not self._any_waits():
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
            self._take_turn(lane)
            await self._begin(resident, batch, lane)

    def _deliver(self) -> None:
        """Answer the callers of the last batch, if they do not have their answers yet."""
        finished, self._finished = self._finished, None
        if finished is not None:
            batch, results = finished
            self._under_way -= batch.rows
            batch.deliver(results)

    def _take_turn(self, lane: Lane) -> None:
        """Something of a lane is next: long work is due after so much that is short, its lanes in turn."""
        if lane is Lane.INTERACTIVE:
            self._in_a_row += 1
        else:
            self._in_a_row = 0
            self._long_lanes = (Lane.BULK, Lane.LONG) if lane is Lane.LONG else (Lane.LONG, Lane.BULK)

    async def _begin(self, resident: Resident, batch: Batch, lane: Lane) -> None:
        """Have a batch done: beside others where the device can, else alone, but for pauses where it is long."""
        resident.under_way += 1  # before anybody can take it for idle
        if self._device.pipelines(batch):
            self._flights.add(self._work_beside_others(resident, batch), lane, self._end_flight)
        elif lane is Lane.INTERACTIVE:
            await self._work_on(resident, batch)
        else:
            self._long = asyncio.create_task(self._work_beside_others(resident, batch, pausing=True))
            self._long.add_done_callback(self._end_long)
        if self._is_at_work:
            await asyncio.sleep(0)  # so that it comes to the device before what is chosen next

    def _end_long(self, ended: "asyncio.Task[None]") -> None:
        self._long = None
        self._end_flight(ended)

    def _end_flight(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            self._lose(error)
        self._arrived.set()

    @property
    def _is_at_work(self) -> bool:
        """Whether something is under way that does not keep this loop waiting."""
        return self._long is not None or len(self._flights) > 0

    def _any_waits(self) -> bool:
        return any(len(resident.queue) for resident in self._holding)

    def _choose(self) -> tuple[Resident, Lane] | None:
        """The next queue in turn: any with short work; else, and now and then before it, any with long work."""
        if self._flights.are_all_taken:
            return None
        long = self._long_lanes if self._long is None and self._flights.have_room_for_long else ()
        lanes = (Lane.INTERACTIVE, *long) if self._in_a_row < TURN else (*long, Lane.INTERACTIVE)
        for lane in lanes:
            for resident in self._holding:
                if resident.net is not None and resident.queue.rows[lane]:
                    self._holding.move_last(resident.model.id)
                    return resident, lane
        return None

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
            resident.under_way -= 1
            if results is None:
                self._under_way -= batch.rows
            else:
                self._finished = batch, results

    async def _work_beside_others(self, resident: Resident, batch: Batch, *, pausing: bool = False) -> None:
        """Forward a batch that pauses for others, or is in flight with them; it is answered as soon as it is done."""
        self._under_way += batch.rows
        try:
            if (results := await self._run(resident, batch, pausing=pausing)) is not None:
                batch.deliver(results)
        finally:
            self._under_way -= batch.rows
            resident.under_way -= 1

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
            batch.fall_apart()
            # Calls that share a batch are equal, and so is what is wrong with them.
            for share in batch.shares:
                share.work.finish(error)
            return None
        except Exception as error:
            if self._lost is not None or self._device.is_lost(error):
                self._telling.failed(model_id)
                raise
            if self._forms.failed(resident.model, net, error):
                return await self._run(resident, batch, pausing=pausing)
            self._telling.failed(model_id)
            batch.fall_apart()
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
        if too_much and await self._holding.make_room(resident):
            if (results := await self._run(resident, batch, pausing=pausing)) is not None:
                batch.deliver(results)
            return
        asked = "".join(plain(share.work.request_id) for share in batch.shares[:1]) or None  # but one is left to blame
        log.error(
            "%s failed on a batch of %d", resident.model.id, batch.rows, exc_info=error, extra=told(request=asked)
        )
        raised = f"ran out of memory on {batch.size} rows at once" if too_much else f"raised {type(error).__name__}"
        for share in batch.shares:
            share.work.finish(ModelFailed(f"{resident.model.id} {raised} on this input."))

    def _on_device(
        self, net: nn.Module | Form, model: Model, batch: Batch, *, pausing: bool = False
    ) -> Awaitable[list[Array]]:
        if self._device.pipelines(batch):
            return self._flown(net, model, batch)
        if pausing:
            return self._turns.long(partial(self._goes_on, batch), self._device.forward_pausing, net, model, batch)
        return self._turns.short(self._device.forward, net, model, batch)

    async def _flown(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        """The results of a batch that is begun behind the others under way, and lands behind them."""
        flight = await self._turns.short(self._device.begin, net, model, batch)
        return await flight.landed()

    def _goes_on(self, batch: Batch) -> bool:
        """Whether a batch that pauses is wanted still; a pause is progress."""
        self._device.steps.renew()
        return batch.is_wanted()
