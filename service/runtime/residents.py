"""A model in an engine: its queue from the moment it is wanted, its net once it is loaded, and what is told of both."""

import asyncio
import time
from dataclasses import dataclass, field

from torch import nn

from service.runtime.queues import Batch, ModelQueue
from service.store import Model
from service.telemetry.instruments import Instruments


@dataclass(eq=False)
class Resident:
    """One model that an engine holds, or is about to."""

    model: Model
    queue: ModelQueue
    net: nn.Module | None = None
    loading: "asyncio.Task[None] | None" = None
    leaving: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)
    mean_forward_s: float = 0.0
    last_rows: int = 0
    last_used: float = field(default_factory=time.monotonic)
    """When a batch of its went to the device."""
    is_wanted: bool = False
    """Whether the service is to hold it, and not only who asked for it last."""
    under_way: int = 0
    """Its batches on the device."""

    @property
    def is_idle(self) -> bool:
        """Whether it is loaded, and has nothing to do."""
        return self.net is not None and not len(self.queue) and not self.under_way

    def note(self, batch: Batch, seconds: float) -> None:
        """A batch that many share took so long."""
        self.mean_forward_s += (seconds - self.mean_forward_s) * (0.1 if self.mean_forward_s else 1.0)
        self.last_rows = batch.rows


class Telling:
    """What the instruments of an engine are told of its models."""

    def __init__(self, instruments: Instruments, device: str) -> None:
        self.instruments = instruments
        self._device = device
        instruments.begin_at_zero(instruments.rejected, "queue_full")

    def loaded(self, model: Model, *, there: bool) -> None:
        """A model is warm, or gone."""
        for counter in (self.instruments.model_failures, self.instruments.cancelled):
            self.instruments.begin_at_zero(counter, model.id)
        self.instruments.model_loaded.labels(model.id, model.version, self._device).set(there)

    def refused(self) -> None:
        """A queue was full."""
        self.instruments.rejected.labels("queue_full").inc()

    def cancelled(self, model_id: str) -> None:
        """A caller left before its work was done."""
        self.instruments.cancelled.labels(model_id).inc()

    def begun(self, resident: Resident, batch: Batch, now: float) -> None:
        """A batch goes to the device; every submission in it has waited for as long as it was there."""
        model_id = resident.model.id
        resident.last_used = now
        self.instruments.batch_rows.labels(model_id).observe(batch.rows)
        most = batch.size if batch.exact else resident.queue.most[batch.shares[0].work.lane]
        self.instruments.conditions.batch_fill_ratio.labels(model_id).observe(batch.rows / most)
        self.instruments.queue_seconds.labels(model_id).observe_all(batch.begin(now))
        self.waiting(resident)

    def forwarded(self, model_id: str, seconds: float) -> None:
        """A batch came back from the device."""
        self.instruments.forward_seconds.labels(model_id).observe(seconds)

    def failed(self, model_id: str) -> None:
        """A batch could not be forwarded."""
        self.instruments.model_failures.labels(model_id).inc()

    def waiting(self, resident: Resident) -> None:
        """As many rows wait as do now."""
        self.instruments.queue_rows.labels(resident.model.id, self._device).set(len(resident.queue))
