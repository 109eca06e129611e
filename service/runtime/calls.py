"""The one interface between those who want work done and the engines that do it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from numpy.typing import NDArray

from service.errors import Overloaded
from service.exactness import PLAIN

Array = NDArray[Any]
Option = str | int | float | bool


class Lane(StrEnum):
    """Which work goes first: interactive before long before bulk."""

    INTERACTIVE = "interactive"
    LONG = "long"
    """Interactive work that pauses for the rest of it; engines find out by themselves which that is."""
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a model. Calls that are equal may share a batch."""

    model: str
    verb: str
    version: str | None = None
    options: tuple[tuple[str, Option], ...] = ()


class EngineClient(Protocol):
    """Work for the engines, wherever they run."""

    async def submit(
        self,
        call: Call,
        arrays: Sequence[Array],
        *,
        lane: Lane = Lane.INTERACTIVE,
        deadline: float | None = None,
        request_id: str = "",
    ) -> list[Array]:
        """Arrays to arrays, the items along axis 0 of each; `deadline` in seconds of `time.monotonic`.

        Cancelling the awaiting task cancels the work. Raises the ServiceError that the engine met, Overloaded when
        the model's queue is full, EngineUnavailable when no engine answers.
        """
        ...

    def width(self) -> int:
        """How many engines share the work, one at least: what comes in parts keeps some under way for each of them."""
        ...


Told = Callable[[list[Array] | BaseException], object]
"""Who is told what came of a submission: the arrays, or the error."""
Withdraw = Callable[[], object]
"""What takes a submission out again; nobody is told anything then."""


class Asked(NamedTuple):
    """One submission of several that ask the same of different rows."""

    rows: Array
    told: Told
    request_id: str = ""


@runtime_checkable
class Posting(Protocol):
    """Engines that may be asked without anybody waiting, by whoever has many questions and no task for each."""

    def post(self, call: Call, asked: Sequence[Asked]) -> Sequence[Withdraw]:
        """Ask interactive questions without a deadline; what takes each of them out again."""
        ...


class TaskPosting:
    """The same over any engines, by a task for each question."""

    def __init__(self, engines: EngineClient) -> None:
        self._engines = engines
        self._tasks: set[asyncio.Task[list[Array]]] = set()

    def post(self, call: Call, asked: Sequence[Asked]) -> Sequence[Withdraw]:
        """Ask interactive questions without a deadline; what takes each of them out again."""
        return [self._ask(call, each) for each in asked]

    def _ask(self, call: Call, asked: Asked) -> Withdraw:
        task = asyncio.create_task(self._submit(call, asked))
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, asked.told))
        return task.cancel

    async def _submit(self, call: Call, asked: Asked) -> list[Array]:
        return await self._engines.submit(call, [asked.rows], request_id=asked.request_id)

    def _end(self, told: Told, task: "asyncio.Task[list[Array]]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            told(task.exception() or task.result())


SILENT = "silent"
EVICTED = "evicted"
SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model inside an engine."""

    version: str
    state: str
    """`loading` or `ready`; EVICTED where it had to make room and comes back when it is asked; SET_ASIDE where an
    engine hung in it; SILENT where its engine does not say anything."""
    device: str
    form: str = PLAIN
    """In which a classifier answers interactive requests."""
    kind: str = ""
    """What the device is; those of one kind compute the same bits."""

    @property
    def place(self) -> str:
        """The device and what it is, for people."""
        return self.device if self.kind in ("", self.device) else f"{self.device} ({self.kind})"


class EngineControl(Protocol):
    """What engines hold, beside the work they do."""

    async def load(self, model_id: str) -> None:
        """Load and warm a model in every engine; returns when it is ready. Raises what stopped it."""
        ...

    async def unload(self, model_id: str) -> None:
        """Let go of a model in every engine once what waits for it is done."""
        ...


class EngineStatus(Protocol):
    """What is known of the engines without asking."""

    def models(self) -> Mapping[str, LoadedModel]:
        """The models that engines hold, the readiest state of each."""
        ...


class Engines(EngineClient, EngineStatus, Protocol):
    """Engines that take work and say what they hold."""


ROOM_POLL_S = 0.05
"""Pause before work that a full queue refused is offered again."""


async def submit_patiently(
    engine: EngineClient,
    call: Call,
    arrays: Sequence[Array],
    *,
    lane: Lane,
    deadline: float | None = None,
    request_id: str = "",
) -> list[Array]:
    """Submit, and wait for room where the queue is full: for work that has begun and would be lost as a whole."""
    while True:
        try:
            return await engine.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
        except Overloaded:
            await asyncio.sleep(ROOM_POLL_S)


PARTS_EACH = 2
"""Parts of one piece of work under way for each engine: enough to keep a device busy, little enough to hold."""


async def submit_parts(
    engine: EngineClient,
    call: Call,
    parts: Iterable[Sequence[Array]],
    *,
    lane: Lane = Lane.INTERACTIVE,
    deadline: float | None = None,
    request_id: str = "",
) -> AsyncGenerator[list[Array], None]:
    """The answers to the parts of one piece of work, in order; each part is made when an engine is to have it.

    Raises the ServiceError that the engine met; Overloaded only for the first part, later ones wait for room.
    """
    under_way: deque[asyncio.Task[list[Array]]] = deque()
    submit = engine.submit
    try:
        for arrays in parts:
            asked = submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)
            under_way.append(asyncio.create_task(asked))
            submit = partial(submit_patiently, engine)
            while len(under_way) >= PARTS_EACH * engine.width():
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
