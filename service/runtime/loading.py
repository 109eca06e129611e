"""How a model comes onto a device beside other work: read at low priority, tried in slices, and measured."""

import asyncio
import logging
from collections.abc import Iterable

from torch import nn

from service.runtime.calls import Lane
from service.runtime.devices import Device
from service.runtime.queues import Batch, ModelQueue, warm_sizes
from service.runtime.rows import zeros
from service.runtime.turns import Turns
from service.store import Model
from service.tasks.registry import TASKS, Task

log = logging.getLogger(__name__)

FEW = 8
"""Rows from which on a batch shows what one row of many takes."""
WARM_S = 0.5
"""Where any size will do, none is tried beforehand that is likely to take longer."""
TRIAL_S = 0.02
"""What is measured holds others up for about so long, or for one row."""
TRIALS, TRIALS_LEAST = 5, 2
"""So often, the least of all counts; what takes long is not tried more often than it has to be."""
BATCH_S = 0.1
"""A batch that many share takes about so long at most: more rows gain nothing, and all others wait."""
BATCH_COSTS_S = 0.0003
"""What a batch costs an engine around the net, whatever its size."""
FRONT_S = 0.00015
"""What one row costs those who bring it, on a core of their own or beside a net that takes all of them."""
WORTH = 0.9
"""All cores are taken where this leaves no more of the time for one row."""


class Loading:
    """One model on its way onto a device, and the queue of those who wait for it already.

    `tried` says whether it is tried in every size before it is ready. Who asks once, and goes, does not wait for that;
    a device that prepares itself for sizes tries them all the same.
    """

    def __init__(self, device: Device, turns: Turns, model: Model, queue: ModelQueue, *, tried: bool = True) -> None:
        self._device = device
        self._turns = turns
        self._model = model
        self._queue = queue
        self._tried = tried or queue.padded
        self._row_s: float | None = None
        """What a row of the largest batch so far took."""

    async def run(self) -> nn.Module:
        """The net, when it has been tried if it is to be. Raises what stopped it."""
        place = asyncio.get_running_loop().run_in_executor(self._device.loader, self._device.place, self._model)
        net = await place
        if not self._tried:  # a block is what it has to manage anyway
            most = self._queue.most
            most[Lane.INTERACTIVE] = min(most[Lane.INTERACTIVE], self._model.manifest.serving.block)
        for verb, task in TASKS.items():
            if self._tried and task.warmed and task.serves(self._model.manifest):
                for size in self._sizes(task):
                    if not await self._warm(net, zeros(self._model, verb, size, padded=self._queue.padded)):
                        break
                if not task.exact:
                    await self._fit_batches(net, verb)
        return net

    def _sizes(self, task: Task) -> Iterable[int]:
        serving = self._model.manifest.serving
        if task.exact:
            return [serving.block]
        sizes = warm_sizes(serving.max_batch) if self._queue.padded else (1, min(FEW, serving.max_batch))
        return sorted({*sizes, serving.max_batch, serving.block})

    async def _warm(self, net: nn.Module, batch: Batch) -> bool:
        """Forward zeros; whether a larger batch may be tried.

        Sizes that are too much for the device are not used, unless there is no other.
        """
        if not self._queue.padded and self._row_s is not None and self._row_s * batch.size > WARM_S:
            return False
        try:
            began = asyncio.get_running_loop().time()
            await self._turns.long(_always, self._device.prepare, net, self._model, batch)
            self._row_s = (asyncio.get_running_loop().time() - began) / batch.size
        except Exception as error:
            if batch.exact or batch.size == 1 or not self._device.is_out_of_memory(error):
                raise
            await halve(self._device, self._turns, self._model, self._queue, batch)
        return True

    async def _fit_batches(self, net: nn.Module, verb: str) -> None:
        """Find out how large the batches are that many share. A processor has others to serve, so that none is long."""
        if self._queue.padded:
            await self._grow(net, verb, BATCH_S)
        elif await self._measure(net, verb) * self._queue.most[Lane.INTERACTIVE] <= TRIAL_S:
            await self._grow(net, verb, TRIAL_S)
        log.info("batches of %s have at most %d rows on %s", self._model.id, self._queue.most[Lane.INTERACTIVE],
                 self._device.name)  # fmt: skip

    async def _measure(self, net: nn.Module, verb: str) -> float:
        """Find out how many cores the net needs, and how many rows of a batch gain anything; the seconds of a row."""
        few = min(FEW, self._queue.most[Lane.INTERACTIVE])
        size = few if self._row_s is not None and self._row_s * few <= TRIAL_S else 1
        batch = zeros(self._model, verb, size)
        taken = {threads: await self._row_takes(net, batch, threads) for threads in self._device.choices}
        threads = fitting(taken)
        self._device.give_threads(self._model, threads)
        most = max(1, int(BATCH_S / taken[threads]))
        self._queue.most[Lane.INTERACTIVE] = min(self._queue.most[Lane.INTERACTIVE], most)
        log.info("%s takes %.2f ms a row on %d threads", self._model.id, 1000 * taken[threads], threads)
        return taken[threads]

    async def _grow(self, net: nn.Module, verb: str, longest_s: float) -> None:
        """Find out whether batches larger than the manifest's are worth it on this device, size by size."""
        size, most, padded = self._queue.most[Lane.INTERACTIVE], self._device.most_rows, self._queue.padded
        row_s = await self._row_costs(net, zeros(self._model, verb, size, padded=padded)) if size < most else 0.0
        while (larger := 1 << size.bit_length()) <= most and row_s * larger <= longest_s:
            batch = zeros(self._model, verb, larger, padded=padded)
            if not await self._fits(net, batch):
                break
            larger_row_s = await self._row_costs(net, batch)
            if larger_row_s > WORTH * row_s:
                break
            size, row_s = larger, larger_row_s
            self._queue.most[Lane.INTERACTIVE] = size

    async def _row_costs(self, net: nn.Module, batch: Batch) -> float:
        """The seconds of one row of a batch, its part of what the engine does around the net among them."""
        return await self._row_takes(net, batch) + BATCH_COSTS_S / batch.size

    async def _fits(self, net: nn.Module, batch: Batch) -> bool:
        """Make ready for a size that may be too much for the device."""
        try:
            await self._turns.long(_always, self._device.prepare, net, self._model, batch)
        except Exception as error:
            if not self._device.is_out_of_memory(error):
                raise
            await self._turns.short(self._device.relieve)
            return False
        return True

    async def _row_takes(self, net: nn.Module, batch: Batch, threads: int | None = None) -> float:
        """The seconds of one row of a batch, on so many threads if they are given."""
        took_s: list[float] = []
        while len(took_s) < TRIALS_LEAST or (len(took_s) < TRIALS and sum(took_s) < TRIALS * TRIAL_S):
            took_s.append(await self._turns.short(self._device.time, net, self._model, batch, threads))
        return min(took_s) / batch.size


def fitting(taken_s: dict[int, float]) -> int:
    """How many threads a net gets that takes so long for a row on each number of them.

    On fewer than all cores it works while the next rows are brought; on all of them either waits for the other.
    """
    few, many = min(taken_s), max(taken_s)
    return many if taken_s[many] + FRONT_S < WORTH * max(taken_s[few], FRONT_S) else few


async def halve(device: Device, turns: Turns, model: Model, queue: ModelQueue, batch: Batch) -> None:
    """Make smaller batches of a model from now on."""
    queue.halve(batch.lane, batch.size)
    log.warning("%d rows of %s are more than %s has memory for; batches have at most %d from now on",
                batch.size, model.id, device.name, queue.most[batch.lane])  # fmt: skip
    await turns.short(device.relieve)


def _always() -> bool:
    return True
