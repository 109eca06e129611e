"""The models that an engine holds: loaded when they are wanted, and let go when they are not or memory is short."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping

from torch import nn

from service.errors import ServiceError
from service.runtime.calls import EVICTED, LoadedModel
from service.runtime.devices import Device
from service.runtime.duties import Duty
from service.runtime.forms import Forms
from service.runtime.loading import Loading
from service.runtime.queues import ModelQueue
from service.runtime.residents import Resident, Telling
from service.runtime.turns import Turns
from service.store import Model, ModelStore

log = logging.getLogger(__name__)


class Holding:
    """All models of one engine, by their ids. Touched on the event loop only.

    They are tried before they are ready, as `Loading` says, those that are loaded by name always, and those that are
    asked for if they are to be `tried`. `changed` is called when what it holds has changed, `lost` with the error that
    the device died of.
    """

    def __init__(
        self,
        store: ModelStore,
        device: Device,
        turns: Turns,
        forms: Forms,
        telling: Telling,
        *,
        queue_limit: int,
        duty: Duty,
        tried: bool,
        changed: Callable[[], None],
        lost: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._device = device
        self._turns = turns
        self._forms = forms
        self._telling = telling
        self._queue_limit = queue_limit
        self._duty = duty
        self._tried = tried
        self._changed = changed
        self._lost = lost
        self._residents: dict[str, Resident] = {}
        self._loads: set[asyncio.Task[None]] = set()
        """The loads under way: one that fails lets go of its model before it ends."""
        self._evicted: dict[str, Model] = {}
        """Models that had to go although they are wanted; whoever asks for one brings it back."""

    def __iter__(self) -> Iterator[Resident]:
        return iter(self._residents.values())

    def get(self, model_id: str) -> Resident | None:
        """A model that is held, or is about to be."""
        return self._residents.get(model_id)

    def move_last(self, model_id: str) -> None:
        """It has had its turn."""
        self._residents[model_id] = self._residents.pop(model_id)

    def told(self) -> Mapping[str, LoadedModel]:
        """The models held, whether each is loaded, its form, and those that had to go."""
        name, kind = self._device.name, self._device.kind
        held = {
            model_id: LoadedModel(
                resident.model.version,
                "loading" if resident.net is None else "ready",
                name,
                self._forms.name_of(model_id),
                kind,
            )
            for model_id, resident in self._residents.items()
        }
        gone = {
            model_id: LoadedModel(model.version, EVICTED, name, kind=kind) for model_id, model in self._evicted.items()
        }
        return {**gone, **held}

    async def load(self, model_id: str) -> None:
        """Load and warm a model; returns when it is ready. Raises what stopped it.

        A model that is another engine's duty is not held; where it is asked for all the same, it is loaded then.
        """
        self._store.refresh(model_id)
        model = self._store.get(model_id)
        if not self._duty.holds(model.manifest.task):
            return
        await asyncio.to_thread(getattr, model, "version")  # which reads the weights where no card knows them
        known = self._residents.get(model.id)
        if known is not None and known.net is not None and known.model.version != model.version:
            await self.unload(model.id)
        if known is not None and known.leaving:
            await known.left.wait()
        resident = self.resident(model.id, tried=True)
        resident.is_wanted = True
        if resident.loading is not None:
            await asyncio.shield(resident.loading)

    async def unload(self, model_id: str) -> None:
        """Let go of a model once what waits for it is done."""
        self._evicted.pop(model_id, None)
        resident = self._residents.get(model_id)
        if resident is None:
            return
        resident.leaving = True
        self._changed()
        await resident.left.wait()

    def resident(self, model_id: str, *, tried: bool = False) -> Resident:
        """A model that is held, or is being loaded from now on, and tried if it is to be. Raises ModelNotFound."""
        resident = self._residents.get(model_id)
        if resident is None:
            model = self._store.get(model_id)
            serving, _ = model.manifest.serving, model.version
            queue = ModelQueue(
                max_batch=serving.max_batch, block=serving.block, limit=self._queue_limit, padded=self._device.pads
            )
            resident = self._residents[model_id] = Resident(model, queue)
            resident.loading = asyncio.create_task(self._load(resident, tried=tried), name=f"load-{model_id}")
            self._loads.add(resident.loading)
            resident.loading.add_done_callback(self._end_load)
            self._changed()
        return resident

    async def _load(self, resident: Resident, *, tried: bool) -> None:
        model_id = resident.model.id
        began = time.monotonic()
        try:
            net = await self._loaded(resident, tried=tried or self._tried)
        except Exception as error:
            if self._device.is_lost(error):
                self._lost(error)  # who waits is tried once more, when this process is another
                raise
            failure = self._device.refusal(error, resident.model)
            log.exception("%s cannot be loaded", model_id)
            await self._remove(resident, failure)
            raise failure from error
        resident.net = net
        resident.loading = None
        self._evicted.pop(model_id, None)
        self._telling.loaded(resident.model, there=True)
        log.info("%s %s is warm on %s after %.2f s", model_id, resident.model.version, self._device.name,
                 time.monotonic() - began)  # fmt: skip
        self._forms.search(resident.model, net)
        self._changed()

    async def _loaded(self, resident: Resident, *, tried: bool) -> nn.Module:
        """The net, warm; others go where there is no memory for it."""
        while True:
            try:
                loading = Loading(self._device, self._turns, resident.model, resident.queue, tried=tried)
                net = await loading.run()
                await self._forms.recall(resident.model, net)
            except Exception as error:
                if not self._device.is_out_of_memory(error) or not await self.make_room(resident):
                    raise
                await self._turns.short(self._device.forget, resident.model.id)
            else:
                return net

    async def make_room(self, whose: Resident) -> bool:
        """Let go of the idle model that was longest not asked, for another; whether there was one.

        Those that the service is to hold go last: nobody drives them out by asking for others in turn.
        """
        idle = [held for held in self._residents.values() if held.is_idle and held is not whose]
        if not idle:
            return False
        least = min(idle, key=lambda held: (held.is_wanted, held.last_used))
        log.warning("%s has no memory left for %s; %s goes, and comes back when it is asked", self._device.name,
                    whose.model.id, least.model.id)  # fmt: skip
        self._evicted[least.model.id] = least.model
        await self._remove(least)
        await self._turns.short(self._device.relieve)
        return True

    async def remove_leaving(self) -> None:
        """Let go of what is to leave and has nothing more to do."""
        for resident in list(self._residents.values()):
            if resident.leaving and resident.is_idle:
                await self._remove(resident)

    async def _remove(self, resident: Resident, failure: ServiceError | None = None) -> None:
        """Let go of a model; where it could not be loaded, who waits for it is told.

        That comes before anything is awaited: an engine that stops looks at what it holds, and not at what is gone.
        """
        model_id = resident.model.id
        self._forms.forget(model_id)
        del self._residents[model_id]
        was_loaded, resident.net = resident.net is not None, None
        if failure is not None:
            for work in resident.queue.drain():
                work.finish(failure)
        await self._turns.short(self._device.forget, model_id)
        resident.left.set()
        if was_loaded:
            self._telling.loaded(resident.model, there=False)
        self._changed()

    async def stop(self) -> None:
        """Break off what is being loaded."""
        loads = list(self._loads)
        for task in loads:
            task.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    def _end_load(self, task: "asyncio.Task[None]") -> None:
        """A failed load has been logged and answered; nobody else needs to await it."""
        self._loads.discard(task)
        if not task.cancelled():
            task.exception()
