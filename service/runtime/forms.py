"""The forms in which the models of an engine answer now, and the search for better ones while nobody waits."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from service.exactness import PLAIN
from service.forms.form import Form
from service.runtime.devices import Device
from service.runtime.queues import Batch, warm_sizes
from service.runtime.rows import zeros
from service.runtime.turns import Turns
from service.store import Model

if TYPE_CHECKING:
    from service.runtime.improving import FormChoice, Improver

log = logging.getLogger(__name__)

QUIET_S = 1.0
"""So long nobody must have come before a form is worked on."""
BUSY_POLL_S = 0.25
MOMENTS, MOMENT_S = 100, 0.01
"""How often, and how far apart, it is looked whether no batch is under way."""
FEW = 16
"""Batches of up to so many rows are tried beforehand: some runtimes prepare themselves for each size anew."""


class Forms:
    """What answers interactive requests in the place of each net. Touched on the event loop only.

    `rows_waiting` says how many rows wait for the device, `changed` is called when a model's form has changed.
    """

    def __init__(
        self,
        choice: "FormChoice | None",
        device: Device,
        turns: Turns,
        rows_waiting: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._device = device
        self._turns = turns
        self._improver = None if choice is None else self._improver_for(choice)
        self._rows_waiting = rows_waiting
        self._changed = changed
        self._serving: dict[str, Form] = {}
        self._searches: dict[str, asyncio.Task[None]] = {}
        self._last_batch = 0.0

    def _improver_for(self, choice: "FormChoice") -> "Improver":
        from service.runtime.improving import Improver  # it loads all forms, and who has no choice waits for none

        return Improver(choice, self._device.place_of, self._turns, self._quiet)

    def name_of(self, model_id: str) -> str:
        """The form in which a model answers."""
        form = self._serving.get(model_id)
        return PLAIN if form is None else form.name

    def of(self, batch: Batch, net: nn.Module) -> nn.Module | Form:
        """What forwards a batch: the model's form for labels that nobody keeps, else the net itself."""
        self._last_batch = time.monotonic()
        if batch.exact or batch.call.verb != "classify":
            return net
        return self._serving.get(batch.call.model, net)

    def failed(self, model: Model, computed: nn.Module | Form, error: Exception) -> bool:
        """Whether it was a form that failed on a batch. It serves no more, and the net itself is to do its work."""
        if not isinstance(computed, Form):
            return False
        log.error("%s failed in the form %s, and is served in the plain one", model.id, computed.name, exc_info=error)
        if self._serving.pop(model.id, None) is not None and self._improver is not None:
            self._improver.refuse(model, computed.name)
            self._changed()
        return True

    async def recall(self, model: Model, net: nn.Module) -> None:
        """Serve a model that is being loaded in the form that is set, or that was found before."""
        if self._improver is None:
            return
        try:
            if (form := await self._improver.known(model, net)) is not None:
                await self._adopt(model, form)
        except Exception:
            log.exception("%s is served in the plain form", model.id)

    def search(self, model: Model, net: nn.Module) -> None:
        """Look for a better form from now on, in quiet moments, and serve it."""
        if self._improver is not None and model.id not in self._serving:
            search = asyncio.create_task(self._search(model, net), name=f"forms-{model.id}")
            self._searches[model.id] = search
            search.add_done_callback(partial(self._end, model.id))

    def forget(self, model_id: str) -> None:
        """Let go of a model."""
        self._serving.pop(model_id, None)
        if (search := self._searches.get(model_id)) is not None:
            search.cancel()

    async def stop(self) -> None:
        """Let go of everything."""
        for search in self._searches.values():
            search.cancel()
        await asyncio.gather(*self._searches.values(), return_exceptions=True)

    def _end(self, model_id: str, search: "asyncio.Task[None]") -> None:
        if self._searches.get(model_id) is search:
            del self._searches[model_id]

    async def _search(self, model: Model, net: nn.Module) -> None:
        assert self._improver is not None
        try:
            form = await self._improver.better(model, net)
            if form is not None:
                await self._adopt(model, form)
                self._changed()
        except Exception:
            log.exception("no better form of %s could be found", model.id)

    async def _adopt(self, model: Model, form: Form) -> None:
        """Serve a form once it is warm; at a moment when no batch is under way, if there is one soon.

        That others wait is no reason to go on in another form than the other engines.
        """
        most, pads = model.manifest.serving.max_batch, self._device.pads
        for rows in warm_sizes(most) if pads else range(1, min(FEW, most) + 1):
            await self._turns.short(self._device.prepare, form, model, zeros(model, "classify", rows, padded=pads))
        for _ in range(MOMENTS):
            if not self._rows_waiting():
                break
            await asyncio.sleep(MOMENT_S)
        self._serving[model.id] = form

    async def _quiet(self) -> None:
        """Return when nothing waits or is under way, and nothing came for a while."""
        # polled, so that work does nothing for it; and only while a search goes on
        while self._rows_waiting() or time.monotonic() - self._last_batch < QUIET_S:  # noqa: ASYNC110
            await asyncio.sleep(BUSY_POLL_S)
