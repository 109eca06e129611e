"""A device that works on several batches at a time: each goes through its stages, behind the one before it."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from service.forms.form import Form
from service.nets.pauses import Stopped
from service.runtime.calls import Array
from service.runtime.cards.slots import Rings, Slot
from service.runtime.cards.streams import Mark, Piece, Stage, Streams
from service.runtime.devices import Device
from service.runtime.queues import Batch
from service.store import Model
from service.tasks.registry import task_of

IN_FLIGHT = 3
"""Batches under way at a time: one that comes, one that is computed, one that goes."""


@dataclass(frozen=True, slots=True)
class Track:
    """The way of batches that do not wait for those on another: what is short has its own beside what is exact."""

    streams: Streams
    waiter: ThreadPoolExecutor
    """Its one thread waits for the batches of this track in their order."""

    def close(self) -> None:
        """Let go of both once they are idle."""
        self.waiter.shutdown(wait=True)
        self.streams.close()


@dataclass(eq=False)
class Flight:
    """A batch on its way through a pipeline."""

    device: "PipelinedDevice"
    model: Model
    batch: Batch
    slot: Slot
    left: Mark
    waiter: ThreadPoolExecutor
    began: float = field(default_factory=time.monotonic)

    def land(self) -> list[Array]:
        """Wait for its results; padding removed, the items along axis 0. Raises what a stage raised."""
        with self.device.computing(self.model, self.batch, self.began):
            try:
                self.left.wait()
                return self.slot.results(self.batch.rows)
            finally:
                self.slot.free()

    def landed(self) -> Awaitable[list[Array]]:
        """The same, awaited."""
        return asyncio.get_running_loop().run_in_executor(self.waiter, self.land)


class PipelinedDevice(Device):
    """A device beside the processor. Batches of one size are copied, computed and copied back beside each other.

    All is begun on the device's one thread, so batches come back in the order in which they were begun, those of a
    track. What chooses its own way through a net, such as an explanation, is forwarded as a whole, as on a processor.
    """

    def __init__(self, name: str, *, at: str, threads: int) -> None:
        super().__init__(name, at=at, threads=threads)
        self.pads = True
        self.in_flight = IN_FLIGHT
        self._tracks: list[Track] = []
        self._rings = Rings(self._device)
        self._numbers = itertools.count(1)

    def lay(self, streams: Sequence[Streams]) -> None:
        """Have short work go through the first of these queues, and exact work through the second."""
        for name, queues in zip(("short", "exact"), streams, strict=True):
            waiter = ThreadPoolExecutor(1, thread_name_prefix=f"landing-{name}-{self.name}")
            self._tracks.append(Track(queues, waiter))

    def pipelines(self, batch: Batch) -> bool:
        """Whether a batch is one whose stages are known beforehand."""
        task = task_of(batch.call.verb)
        return task.pauses != "by itself" and (task.exact or task.warmed)

    def _home_of(self, model: Model) -> torch.device:
        """The card; but for forecasters, whose many small steps are no work for it."""
        return torch.device("cpu") if model.manifest.task == "forecast" else self._device

    def begin(self, net: nn.Module | Form, model: Model, batch: Batch) -> Flight:
        """Send a batch on its way. Raises Stopped where nobody waits for it any more."""
        if not batch.is_wanted():
            raise Stopped
        piece = Piece(next(self._numbers), batch.size, f"{batch.call.verb} of {model.id}")
        with self.steps.at(piece.what, usual_s=0.0):  # for all that is done here is to append to queues
            return self._begin(net, model, batch, piece)

    def _begin(self, net: nn.Module | Form, model: Model, batch: Batch, piece: Piece) -> Flight:
        track = self._tracks[batch.exact]
        slot = self._rings.take(batch)
        try:
            slot.fill(batch)
            arrived = track.streams.run(Stage.IN, piece, slot.bring)
            compute = partial(self._compute, slot, net, model, batch)
            computed = track.streams.run(Stage.COMPUTE, piece, compute, arrived)
            left = track.streams.run(Stage.OUT, piece, slot.fetch, computed)
        except BaseException:
            slot.free()
            raise
        return Flight(self, model, batch, slot, left, track.waiter)

    def _compute(self, slot: Slot, net: nn.Module | Form, model: Model, batch: Batch) -> None:
        with torch.inference_mode():
            slot.outputs = list(self._outputs(slot.placed, net, model, batch))
        if any(len(output) != batch.size for output in slot.outputs):
            raise ValueError(f"{[len(output) for output in slot.outputs]} results for {batch.size} rows")

    def _outputs(self, placed: Sequence[Tensor], net: nn.Module | Form, model: Model, batch: Batch) -> Sequence[Tensor]:
        if isinstance(net, Form):
            return [net.logits(placed[0])]
        return task_of(batch.call.verb, batch.call.options).forward(net, placed, model.manifest)

    def forward(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        """The results of one batch alone, padding removed. Raises ValueError for too few or many."""
        if not self.pipelines(batch):
            return super().forward(net, model, batch)
        return self.begin(net, model, batch).land()

    def forward_in_slices(self, net: nn.Module, model: Model, batch: Batch) -> list[Array]:
        """As `forward`, with a pause before every layer; but a batch that goes through the pipeline holds nobody up."""
        return (
            self.forward(net, model, batch) if self.pipelines(batch) else super().forward_in_slices(net, model, batch)
        )

    def forget(self, model_id: str) -> None:
        """Let go of what is kept for a model. Called on the device's thread."""
        self._rings.forget(model_id)

    def relieve(self) -> None:
        """Give back what is kept for later, after something was too much at once."""
        self._rings.clear()
        super().relieve()

    def close(self) -> None:
        """End the device's threads."""
        super().close()
        for track in self._tracks:
            track.close()
