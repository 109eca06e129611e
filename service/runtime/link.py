"""The caller's end of a unix socket to an engine or to the supervisor: questions out, answers in, many in flight."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from service.errors import EngineUnavailable, ServiceError
from service.runtime.aside import Aside
from service.runtime.bundles import Bundle, Item, Words, item_of, most_beside, placed
from service.runtime.calls import Array, Asked, Call, Lane, LoadedModel, Told, Withdraw
from service.runtime.frames import (
    Frame,
    FrameReader,
    MessageType,
    encode,
    encode_answers,
    encode_bundle,
    encode_questions,
    error_of_meta,
)
from service.runtime.greeting import Shared, greeted
from service.runtime.peers import Address, introduced

Answer = asyncio.Future[list[Array]]


def done_with(places: Sequence[int]) -> bytes:
    """Says that nothing is in use any more of what lay in these places."""
    return encode(MessageType.DONE, 0, {"places": places})


class ConnectionLost(EngineUnavailable):
    """The process at the other end died before it answered."""


class Outbox:
    """Gathers what is written during one turn of the event loop into one write, and what `last` gives behind it.

    Items that follow each other and share their words become one message of this kind; their large arrays go into
    memory that is shared, if there is any. Before all else the other end learns which places of its own it has again:
    who is answered asks at once, and would find them taken.
    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        kind: MessageType,
        last: Callable[[], bytes] = bytes,
        shared: Shared | None = None,
    ) -> None:
        self._transport = transport
        self._kind = kind
        self._last = last
        self._room = None if shared is None else shared.room
        self._view = None if shared is None else shared.view
        self._parts: list[bytes] = []
        self._bundle: list[Item] = []
        self._most = 0
        self._loop = asyncio.get_running_loop()

    def put(self, message: bytes) -> None:
        """Send a message at the end of this turn."""
        self._begin()
        self._close_bundle()
        self._parts.append(message)

    def put_item(self, item: Item) -> None:
        """Send a submission or an answer at the end of this turn."""
        if self._room is not None:
            item = placed(item, self._room)
        bundle = self._bundle
        words = bundle[0].words if bundle else None
        if (item.words is not words and item.words != words) or len(bundle) == self._most:
            self._begin()
            self._close_bundle()
            self._most = most_beside(item)
        self._bundle.append(item)

    def put_answer(self, message_id: int, arrays: Sequence[Array]) -> None:
        """Send an answer at the end of this turn; the words of the one before it will mostly do."""
        words = self._bundle[-1].words if self._bundle else None
        specs = tuple([(array.dtype, array.shape) for array in arrays])
        if words is None or words.shared or words.specs != specs:
            words = Words(None, Lane.INTERACTIVE, specs)
        self.put_item(Item(words, message_id, None, "", arrays))

    def put_answers(self, ids: Sequence[int], columns: Sequence[Array]) -> None:
        """Send answers of one row each, which lie side by side, at the end of this turn."""
        if (message := encode_answers(ids, columns)) is not None:
            self.put(message)
            return
        for row, message_id in enumerate(ids):
            self.put_answer(message_id, [column[row : row + 1] for column in columns])

    def _begin(self) -> None:
        if not self._parts and not self._bundle:
            self._loop.call_soon(self._flush)

    def _close_bundle(self) -> None:
        if self._bundle:
            self._parts.append(encode_bundle(self._kind, self._bundle))
            self._bundle = []

    def _flush(self) -> None:
        self._close_bundle()
        parts, self._parts = self._parts, []
        if self._view is not None and (places := self._view.returned()):
            parts.insert(0, done_with(places))
        if last := self._last():
            parts.append(last)
        if not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))


class Link(asyncio.Protocol):
    """One connection. Every question ends in its answer, its error, or ConnectionLost."""

    def __init__(
        self,
        on_status: Callable[[], None] = lambda: None,
        on_lost: "Callable[[Link], None]" = lambda _: None,
        on_news: Callable[[Any], object] = lambda _: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._ids = itertools.count(1)
        self._open: dict[int, Told] = {}
        self._transport: asyncio.Transport | None = None
        self._outbox: Outbox | None = None
        self._shared: Shared | None = None
        self._on_status = on_status
        self._on_lost = on_lost
        self._waiting = 0
        """The rows that wait at the other end: as it last said, and what was sent since."""
        self._on_news = on_news
        self.models: Mapping[str, LoadedModel] = {}
        self.width = 1
        """How many engines there are at the other end."""
        self.bits = ""
        """All that the bits of their exact work depend on, in words."""
        self.is_peer = False
        """Whether it is an engine of another machine's service."""
        self.refused: set[Call] = set()
        """What a peer could not do, perhaps because its service has other models."""
        self.heard = time.monotonic()
        """When the other end last said anything."""
        self.closed = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        path: Path,
        on_status: Callable[[], None] = lambda: None,
        on_lost: "Callable[[Link], None]" = lambda _: None,
        on_news: Callable[[Any], object] = lambda _: None,
    ) -> "Link":
        """A connection to the socket at `path`. Raises OSError while nobody listens.

        `on_lost` is called before anybody learns that the connection was lost, `on_news` with what others tell.
        """
        loop = asyncio.get_running_loop()
        link = cls(on_status, on_lost, on_news)
        connected = socket.socket(socket.AF_UNIX)
        connected.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            await loop.sock_connect(connected, str(path))
            link._shared = await greeted(connected, link._tell_done)
            await loop.create_unix_connection(lambda: link, sock=connected)
        except BaseException:
            connected.close()
            link._end_sharing()
            raise
        return link

    @classmethod
    async def reach(cls, address: Address, secret: bytes, on_lost: "Callable[[Link], None]") -> "Link":
        """A connection to an engine of another machine. Raises OSError."""
        link = cls(on_lost=on_lost)
        link.is_peer = True
        connected = await introduced(address, secret)
        try:
            await asyncio.get_running_loop().create_connection(lambda: link, sock=connected)
        except BaseException:
            connected.close()
            raise
        return link

    @property
    def rows_waiting(self) -> int:
        """How many rows wait at the other end, as far as can be known here."""
        return max(self._waiting, len(self._open))

    def has_time_for(self, call: Call) -> bool:
        """Whether a peer may have such work: one that has to load the model first gets one piece of it until then."""
        held = self.models.get(call.model)
        return call not in self.refused and (not self._open or (held is not None and held.state == "ready"))

    @property
    def outstanding(self) -> int:
        """Questions without an answer yet."""
        return len(self._open)

    async def submit(
        self, call: Call, arrays: Sequence[Array], *, lane: Lane, deadline: float | None, request_id: str
    ) -> list[Array]:
        """Arrays to arrays, as EngineClient promises. Raises ConnectionLost too."""
        message_id = self._put(call, arrays, lane, deadline, request_id)
        return await self._answer_to(message_id)

    def post(self, call: Call, asked: Sequence[Asked]) -> Sequence[Withdraw]:
        """Ask, and have each told what came of it, ConnectionLost too. Raises ConnectionLost."""
        outbox, count = self._out(), len(asked)
        ids = [*itertools.islice(self._ids, count)]
        self._open.update(zip(ids, [each.told for each in asked], strict=True))
        self._waiting += sum([len(each.rows) for each in asked])
        if (message := encode_questions(ids, call, asked)) is not None:
            outbox.put(message)
        else:
            for message_id, (rows, _, request_id) in zip(ids, asked, strict=True):
                outbox.put_item(item_of(message_id, [rows], call, request_id=request_id))
        return [partial(self._withdraw, message_id) for message_id in ids]

    def _put(self, call: Call, arrays: Sequence[Array], lane: Lane, deadline: float | None, request_id: str) -> int:
        """The number of a submission that has been sent. Raises ConnectionLost."""
        outbox = self._out()
        self._waiting += len(arrays[0]) if arrays else 0
        message_id = next(self._ids)
        outbox.put_item(item_of(message_id, arrays, call, lane, deadline, request_id))
        return message_id

    async def load(self, model_id: str) -> None:
        """Load and warm a model at the other end."""
        await self._command(MessageType.LOAD, model_id)

    async def unload(self, model_id: str) -> None:
        """Let go of a model at the other end."""
        await self._command(MessageType.UNLOAD, model_id)

    async def set_aside(self, aside: Aside) -> None:
        """Have a model get no work at the other end for a while."""
        await self._command(MessageType.SET_ASIDE, aside.model_id, version=aside.version, seconds=aside.seconds)

    def tell(self, news: dict[str, Any]) -> None:
        """Tell all others at the same socket; nobody answers."""
        if self._outbox is not None:
            self._outbox.put(encode(MessageType.NEWS, 0, news))

    def _tell_done(self, places: list[int]) -> None:
        if self._outbox is not None:
            self._outbox.put(done_with(places))

    def _end_sharing(self) -> None:
        if self._shared is not None:
            self._shared.room.close()
        self._shared, self._reader = None, FrameReader()

    async def _command(self, kind: MessageType, model_id: str, **further: str | float) -> None:
        message_id, outbox = next(self._ids), self._out()
        outbox.put(encode(kind, message_id, {"model": model_id, **further}))
        await self._answer_to(message_id)

    def _out(self) -> Outbox:
        """Where questions go. Raises ConnectionLost."""
        if self._outbox is None:
            raise ConnectionLost("The connection to the engine was lost.")
        return self._outbox

    async def _answer_to(self, message_id: int) -> list[Array]:
        """What is answered to a question that has just been put."""
        answer: Answer = self._loop.create_future()
        self._open[message_id] = partial(_settle, answer)
        try:
            return await answer
        except asyncio.CancelledError:
            self._withdraw(message_id)
            raise

    def _withdraw(self, message_id: int) -> None:
        """Say that nobody waits for an answer any more."""
        if self._open.pop(message_id, None) is not None and self._outbox is not None:
            self._outbox.put(encode(MessageType.CANCEL, message_id, {}))

    def fail(self, error: ServiceError) -> None:
        """End every open question with this error; answers to them that still come are dropped."""
        asked, self._open = self._open, {}
        for told in asked.values():
            told(error)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def break_off(self) -> None:
        """Hang up on who takes nothing any more."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._reader = FrameReader(self._shared.view if self._shared is not None else None)
        self._outbox = Outbox(self._transport, MessageType.SUBMISSIONS, shared=self._shared)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self.heard = time.monotonic()
        if self._shared is not None:
            self._shared.room.rest(self.heard)
        for frame in self._reader.feed(data):
            if frame.kind is MessageType.RESULTS:
                self._tell_all(frame.items)
            elif frame.kind is MessageType.WAITING:
                self._waiting = frame.meta["rows"]
            elif frame.kind is MessageType.ERROR:
                self._tell(frame.id, error_of_meta(frame.meta))
            elif frame.kind is MessageType.RESULT:
                self._tell(frame.id, frame.arrays)
            else:
                self._learn(frame)

    def _learn(self, frame: Frame) -> None:
        """Take what is no answer."""
        if frame.kind is MessageType.STATUS:
            self.models = {name: LoadedModel(*state) for name, state in frame.meta["models"].items()}
            self.width, self.bits = frame.meta["width"], frame.meta["bits"]
            self._on_status()
        elif frame.kind is MessageType.NEWS:
            self._on_news(frame.meta)
        elif frame.kind is MessageType.DONE and self._shared is not None:
            self._shared.free(frame.meta["places"])

    def _tell_all(self, answers: Bundle) -> None:
        for message_id, arrays in zip(answers.ids, answers.rows(), strict=True):
            self._tell(message_id, list(arrays))

    def _tell(self, message_id: int, outcome: list[Array] | ServiceError) -> None:
        if (told := self._open.pop(message_id, None)) is not None:
            told(outcome)

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self._outbox = None
        self._end_sharing()
        self.models = {}
        self._on_lost(self)
        self.fail(ConnectionLost("The engine died before it answered."))
        self.closed.set()


def _settle(answer: Answer, outcome: list[Array] | BaseException) -> None:
    """Give who waits what came of the question."""
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
