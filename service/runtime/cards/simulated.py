"""A card that there is not: its queues are threads that sleep and count, its results are the processor's own."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from service.runtime.cards.pipeline import PipelinedDevice
from service.runtime.cards.streams import Mark, Piece, Stage
from service.store import Model


class SimulatedLoss(RuntimeError):
    """What an accelerator whose context died answers to everything."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a stage takes: so many seconds for a batch, and so many for each of its rows."""

    batch_s: float = 0.0
    row_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """One stage of one batch, in seconds since the timeline began."""

    stage: Stage
    piece: Piece
    began: float
    ended: float


class Timeline:
    """What every queue of a card was at, and when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self.spans: list[Span] = []

    def now(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    def of(self, stage: Stage) -> list[Span]:
        """One stage's, in the order in which they ended."""
        return [span for span in list(self.spans) if span.stage is stage]


class Part:
    """A part of a card, for one batch at a time: what is urgent goes first."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._is_free = True
        self._urgent = 0

    @contextmanager
    def held(self, *, urgent: bool) -> Iterator[None]:
        """Have it alone."""
        with self._turn:
            self._urgent += urgent
            self._turn.wait_for(lambda: self._is_free and (urgent or not self._urgent))
            self._urgent -= urgent
            self._is_free = False
        try:
            yield
        finally:
            with self._turn:
                self._is_free = True
                self._turn.notify_all()


@dataclass
class Hardware:
    """What all queues of one simulated card share: its parts, its memory, its life."""

    costs: dict[Stage, Costs] = field(default_factory=dict)
    memory_bytes: int = 1 << 40
    timeline: Timeline = field(default_factory=Timeline)
    lost: threading.Event = field(default_factory=threading.Event)
    """Once it is set the card answers nothing any more."""
    parts: dict[Stage, Part] = field(default_factory=lambda: {stage: Part() for stage in Stage})
    held: dict[str, int] = field(default_factory=dict)
    """Bytes of the models on it."""

    def work(self, stage: Stage, piece: Piece, work: Callable[[], None], *, urgent: bool) -> None:
        """Do the work, and take at least as long as it costs."""
        cost = self.costs.get(stage, Costs())
        with self.parts[stage].held(urgent=urgent):
            began = self.timeline.now()
            self.check()
            work()
            self.lost.wait(max(0.0, cost.batch_s + cost.row_s * piece.rows - (self.timeline.now() - began)))
            self.check()
            self.timeline.spans.append(Span(stage, piece, began, self.timeline.now()))

    def check(self) -> None:
        """Raise SimulatedLoss where the card is lost."""
        if self.lost.is_set():
            raise SimulatedLoss("an illegal memory access was encountered")

    def hold(self, model_id: str, size: int) -> None:
        """Take memory for a model. Raises OutOfMemoryError where there is not so much."""
        taken = sum(other for name, other in self.held.items() if name != model_id)
        if taken + size > self.memory_bytes:
            raise torch.OutOfMemoryError(f"Tried to allocate {size} bytes; {taken} of {self.memory_bytes} are taken.")
        self.held[model_id] = size


class SimulatedStreams:
    """A thread a stage."""

    def __init__(self, hardware: Hardware, name: str, *, urgent: bool) -> None:
        self._hardware = hardware
        self._urgent = urgent
        self._threads = {stage: ThreadPoolExecutor(1, thread_name_prefix=f"{name}-{stage}") for stage in Stage}

    def run(self, stage: Stage, piece: Piece, work: Callable[[], None], after: Mark | None = None) -> Mark:
        """Append work to a stage's thread."""
        return _Done(self._threads[stage].submit(self._run, stage, piece, work, after))

    def _run(self, stage: Stage, piece: Piece, work: Callable[[], None], after: Mark | None) -> None:
        if after is not None:
            after.wait()
        self._hardware.work(stage, piece, work, urgent=self._urgent)

    def close(self) -> None:
        """End the threads once they have nothing to do."""
        for thread in self._threads.values():
            thread.shutdown(wait=True)


@dataclass(frozen=True, slots=True)
class _Done:
    future: "Future[None]"

    def wait(self) -> None:
        """Return when the work is done. Raises what it raised."""
        self.future.result()


class SimulatedDevice(PipelinedDevice):
    """The pipeline of a card over a simulated one, for tests, pictures and rehearsals on machines without any."""

    def __init__(self, name: str = "simulated:0", *, hardware: Hardware | None = None, threads: int = 1) -> None:
        self.hardware = hardware or Hardware()
        super().__init__(name, at="cpu", threads=threads)
        tracks = {"short": True, "exact": False}
        self.lay([SimulatedStreams(self.hardware, f"{name}-{track}", urgent=tracks[track]) for track in tracks])

    @property
    def kind(self) -> str:
        """That it is none."""
        return "simulated card, float32"

    def place(self, model: Model) -> nn.Module:
        """The model's net, if the card's memory holds it. Raises OutOfMemoryError, too."""
        self.hardware.check()
        net = super().place(model)
        self.hardware.hold(model.id, sum(weight.nbytes for weight in net.parameters()))
        return net

    def forget(self, model_id: str) -> None:
        """Give back a model's memory."""
        super().forget(model_id)
        self.hardware.held.pop(model_id, None)

    def memory_bytes(self) -> dict[str, int]:
        """What the models take of its memory."""
        return {"used": sum(self.hardware.held.values()), "total": self.hardware.memory_bytes}

    def is_lost(self, error: BaseException) -> bool:
        """Whether the card answers nothing any more."""
        return isinstance(error, SimulatedLoss) or self.hardware.lost.is_set()
