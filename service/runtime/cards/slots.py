"""Where batches lie on their way: pinned memory beside a card and memory on it, kept for the next of the same size."""

from collections import OrderedDict, deque
from typing import NamedTuple

import torch
from torch import Tensor

from service.runtime.calls import Array
from service.runtime.queues import Batch

KEPT = 256
"""Kinds of batches for which memory is kept; beyond them that of the one that was longest not needed goes."""


class Kind(NamedTuple):
    """What has to be the same for two batches to lie in the same place."""

    model: str
    verb: str
    size: int
    rows: tuple[tuple[tuple[int, ...], str], ...]
    """Shape and dtype of a row of each array."""

    @classmethod
    def of(cls, batch: Batch) -> "Kind":
        """That of a batch."""
        arrays = batch.shares[0].work.arrays
        rows = tuple((array.shape[1:], array.dtype.name) for array in arrays)
        return cls(batch.call.model, batch.call.verb, batch.size, rows)


class Slot:
    """The arrays of one batch at a time: sent to the card from pinned memory, and back into such."""

    def __init__(self, kind: Kind, device: torch.device, home: "deque[Slot]") -> None:
        self._pins = device.type == "cuda"
        self._home = home
        self._sent = [self._pinned((kind.size, *shape), getattr(torch, dtype)) for shape, dtype in kind.rows]
        self._back: list[Tensor] = []
        self.placed = [torch.empty_like(sent, device=device) for sent in self._sent]
        """The batch on the card."""
        self.outputs: list[Tensor] = []
        """Its results there."""

    def _pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._pins)

    def fill(self, batch: Batch) -> None:
        """Write the rows of all shares side by side, zeros after them up to the batch's size."""
        for column, sent in enumerate(self._sent):
            rows, at = sent.numpy(), 0
            for share in batch.shares:
                rows[at : at + share.rows] = share.arrays()[column]
                at += share.rows
            rows[at:] = 0

    def bring(self) -> None:
        """Copy the batch onto the card."""
        for placed, sent in zip(self.placed, self._sent, strict=True):
            placed.copy_(sent, non_blocking=True)

    def fetch(self) -> None:
        """Copy its results back."""
        if [(back.shape, back.dtype) for back in self._back] != [(out.shape, out.dtype) for out in self.outputs]:
            self._back = [self._pinned(tuple(output.shape), output.dtype) for output in self.outputs]
        for back, output in zip(self._back, self.outputs, strict=True):
            back.copy_(output, non_blocking=True)

    def results(self, rows: int) -> list[Array]:
        """The results of the first rows, which stay as they are when the slot is used again."""
        return [back.numpy()[:rows].copy() for back in self._back]

    def free(self) -> None:
        """Have the next batch take this place."""
        self.outputs = []
        self._home.append(self)


class Rings:
    """The slots of every kind of batch: as many as were under way at a time, used in turns."""

    def __init__(self, device: torch.device, *, kept: int = KEPT) -> None:
        self._device = device
        self._kept = kept
        self._free: OrderedDict[Kind, deque[Slot]] = OrderedDict()

    def take(self, batch: Batch) -> Slot:
        """A slot for a batch, a new one where all are in use."""
        kind = Kind.of(batch)
        free = self._free.setdefault(kind, deque())
        self._free.move_to_end(kind)
        if len(self._free) > self._kept:
            self._free.popitem(last=False)  # slots under way go when their batch does
        try:
            return free.popleft()
        except IndexError:
            return Slot(kind, self._device, free)

    def forget(self, model_id: str) -> None:
        """Keep no memory for a model any more."""
        for kind in [kind for kind in self._free if kind.model == model_id]:
            del self._free[kind]

    def clear(self) -> None:
        """Keep none at all: memory is short."""
        self._free.clear()
