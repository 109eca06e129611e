"""The answering end of a unix socket: frames in, work into an engine, one write back for each batch."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from service.errors import ServiceError
from service.runtime.aside import Aside
from service.runtime.bunches import Bunch
from service.runtime.bundles import Bundle, Item
from service.runtime.calls import Array, Lane, LoadedModel
from service.runtime.frames import Frame, FrameReader, MessageType, encode, error_to_meta
from service.runtime.greeting import Shared, greet
from service.runtime.link import Outbox, done_with
from service.runtime.peers import Address, Door
from service.runtime.work import Answer, Work

log = logging.getLogger(__name__)

Outcome = list[Array] | ServiceError
COMMANDS = (MessageType.LOAD, MessageType.UNLOAD, MessageType.SET_ASIDE)
OF_PEERS = (MessageType.SUBMISSIONS, MessageType.CANCEL)
"""What callers of other machines may say."""
CHECK_S = 1.0
"""Between two beats, by which callers know that they are heard, and two looks at whether the file is still there."""


class Answers(Protocol):
    """What listens behind the socket: an engine, or the supervisor (which takes no work)."""

    def enqueue(self, work: Work) -> None:
        """Take a submission; its answer comes through `work.answer`."""
        ...

    def cancel(self, work: Work) -> None:
        """Take a submission out."""
        ...

    async def load(self, model_id: str) -> None:
        """Load and warm a model."""
        ...

    async def unload(self, model_id: str) -> None:
        """Let go of a model."""
        ...

    def models(self) -> Mapping[str, LoadedModel]:
        """The models held."""
        ...

    def rows_waiting(self) -> int:
        """The rows that are not answered yet."""
        ...


@runtime_checkable
class Bunching(Answers, Protocol):
    """The same where many submissions may come as one."""

    def part(self, bunch: Bunch, row: int) -> Work:
        """The submission of its own that a row of a bunch is from now on."""
        ...


@runtime_checkable
class SettingAside(Answers, Protocol):
    """The same where models can be set aside."""

    async def set_aside(self, aside: Aside) -> None:
        """Refuse work for a model for a while."""
        ...


def _pass(_work: Work, _outcome: Outcome) -> None:
    """Note nothing."""


def _pass_all(_bunch: Bunch, _start: int, _stop: int) -> bool:
    """Note nothing, at once."""
    return True


class Listener:
    """All connections to one socket, with a beat to each now and then unless it `beats` not.

    Large arrays go through memory that is shared with the caller, of so many bytes in either direction. `width` says
    how many engines there are behind it, `bits` what all that they compute exactly depends on.
    """

    def __init__(
        self,
        behind: Answers,
        *,
        check_s: float = CHECK_S,
        beats: bool = True,
        memory_bytes: int = 0,
        over: Callable[[Work, Outcome], None] = _pass,
        together: Callable[[Bunch, int, int], bool] = _pass_all,
        width: Callable[[], int] = lambda: 1,
        bits: str = "",
    ) -> None:
        self.behind = behind
        self.bunching = behind if isinstance(behind, Bunching) else None
        self.memory_bytes = memory_bytes
        self.over = over
        """Called with every submission that has been answered."""
        self.together = together
        """Called before rows of a bunch are answered; where it says no, each is, and `over` called with it."""
        self.width = width
        self.bits = bits
        self._beats = beats
        self._check_s = check_s
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._door: Door | None = None

    async def listen(self, path: Path) -> None:
        """Answer on the socket at `path`, and on a new one whenever its file is removed."""
        found = await self._bind(path)
        self._keeper = asyncio.create_task(self._keep(path, found))

    async def listen_to_peers(self, address: Address, secret: bytes) -> int:
        """Answer callers of other machines too, who know the secret; the port. Raises OSError."""
        self._door = Door(address, secret, lambda: Connection(self, is_peer=True))
        await self._door.open()
        return self._door.port

    @property
    def is_listening(self) -> bool:
        """Whether callers can connect."""
        return self._server is not None and self._server.is_serving()

    async def _bind(self, path: Path) -> tuple[int, int]:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)  # bound here, for asyncio and uvloop remove what they bind at other times
        try:
            bound.bind(str(path))
        except OSError:
            bound.close()
            raise
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(self), sock=bound)
        return _identity(path)

    async def _keep(self, path: Path, found: tuple[int, int]) -> None:
        while True:
            await asyncio.sleep(self._check_s)
            for connection in self.connections:
                if self._beats:
                    connection.beat()
            try:
                if _identity(path) == found:
                    continue
            except OSError:
                pass
            log.warning("%s was removed; listening there anew", path)
            try:
                if self._server is not None:
                    self._server.close()  # those who are connected stay so
                found = await self._bind(path)
            except OSError:
                log.exception("cannot listen on %s", path)

    def send_status(self) -> None:
        """Tell every caller which models are held."""
        for connection in self.connections:
            connection.send_status()

    def pass_on(self, news: dict[str, Any], teller: "Connection") -> None:
        """Tell every other caller what one of them has told."""
        for connection in self.connections - {teller}:
            connection.send_news(news)

    async def close(self) -> None:
        """Stop listening, and hang up on every caller once all that was written has been sent."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._server is not None:
            self._server.close()
        if self._door is not None:
            await self._door.close()
        for connection in self.connections:
            connection.close()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


class Connection(asyncio.Protocol):
    """One caller. What it asked for is dropped when it hangs up.

    A peer, on another machine, may have work done that goes last, and nothing else.
    """

    def __init__(self, listener: Listener, *, is_peer: bool = False) -> None:
        self._listener = listener
        self._is_peer = is_peer
        self._reader = FrameReader()
        self._open: dict[int, Work | tuple[Bunch, int]] = {}
        """What is not answered yet; of a bunch its row."""
        self._outbox: Outbox | None = None
        self._shared: Shared | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        try:
            self._shared = None if self._is_peer else greet(transport, self._listener.memory_bytes, self._tell_done)
        except OSError:
            self._transport.abort()  # the caller has gone again
            return
        self._reader = FrameReader(self._shared.view if self._shared is not None else None)
        self._outbox = Outbox(self._transport, MessageType.RESULTS, self._waiting, self._shared)
        self._listener.connections.add(self)
        self.send_status()

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the event loop."""
        self._outbox = None
        self._listener.connections.discard(self)
        for found in list(self._open.values()):
            self._cancel(found)
        self._open.clear()
        if self._shared is not None:
            self._shared.room.close()
        self._shared, self._reader = None, FrameReader()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        for frame in self._reader.feed(data):
            if self._is_peer and frame.kind not in OF_PEERS:
                raise ValueError(f"{frame.kind.name} is not for callers of other machines")
            self._receive(frame)

    def close(self) -> None:
        """Hang up once all that was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def send_status(self) -> None:
        """Tell this caller which models are held."""
        models = {name: astuple(state) for name, state in self._listener.behind.models().items()}
        said = {"models": models, "width": self._listener.width(), "bits": self._listener.bits}
        self._send(encode(MessageType.STATUS, 0, said))

    def beat(self) -> None:
        """Tell this caller how much waits, and so that it is heard."""
        self._send(b"")
        if self._shared is not None:
            self._shared.room.rest(time.monotonic())

    def _tell_done(self, places: list[int]) -> None:
        self._send(done_with(places))

    def _waiting(self) -> bytes:
        """What goes behind everything that is sent."""
        return _encode_waiting(self._listener.behind.rows_waiting())

    def send_news(self, news: dict[str, Any]) -> None:
        """Tell this caller what another one has told."""
        self._send(encode(MessageType.NEWS, 0, news))

    def _send(self, message: bytes) -> None:
        if self._outbox is not None:
            self._outbox.put(message)

    def _receive(self, frame: Frame) -> None:
        if frame.kind is MessageType.SUBMISSIONS:
            self._submit_all(frame.items)
        elif frame.kind is MessageType.CANCEL:
            if (found := self._open.pop(frame.id, None)) is not None:
                self._cancel(found)
        elif frame.kind in COMMANDS:
            self._answer_later(frame)
        elif frame.kind is MessageType.NEWS:
            self._listener.pass_on(frame.meta, self)
        elif frame.kind is MessageType.DONE and self._shared is not None:
            self._shared.free(frame.meta["places"])

    def _cancel(self, found: Work | tuple[Bunch, int]) -> None:
        bunching = self._listener.bunching
        if isinstance(found, Work):
            self._listener.behind.cancel(found)
        elif bunching is not None:
            bunching.cancel(bunching.part(*found))

    def _submit_all(self, items: Bundle) -> None:
        bunching = self._listener.bunching
        if len(items) > 1 and bunching is not None and not self._is_peer and items.is_plain():
            self._submit_together(items, bunching)
            return
        for item in items:
            self._submit(item)

    def _submit_together(self, items: Bundle, behind: Bunching) -> None:
        words, ids = items.words, items.ids
        assert words.call is not None, "they are questions"

        def answer_rows(bunch: Bunch, start: int, stop: int, results: list[Array]) -> bool:
            if not self._listener.together(bunch, start, stop):
                return False
            answered = ids[start:stop]
            for message_id in answered:
                self._open.pop(message_id, None)
            if self._outbox is not None:
                self._outbox.put_answers(answered, results)
            return True

        def answer_of(bunch: Bunch, row: int) -> Answer:
            return lambda outcome: self._answer(ids[row], bunch.part(row), outcome)

        arrays = [column[:, 0] for column in items.columns]
        bunch = Bunch.of(words.call, arrays, items.request_ids, answer_of=answer_of, answer_rows=answer_rows)
        self._open.update(zip(ids, [(bunch, row) for row in range(len(ids))], strict=True))
        behind.enqueue(bunch)

    def _submit(self, item: Item) -> None:
        words, message_id, deadline, request_id, arrays, _ = item
        if words.call is None:
            raise ValueError("a submission without a call")
        rows = len(arrays[0]) if arrays else 0
        # A peer's work goes last, and its clock is another one.
        lane, until = (Lane.BULK, None) if self._is_peer else (words.lane, deadline)
        work = Work(
            words.call, arrays, rows, lane, until, request_id, lambda outcome: self._answer(message_id, work, outcome)
        )
        self._open[message_id] = work
        self._listener.behind.enqueue(work)

    def _answer(self, message_id: int, work: Work, outcome: Outcome) -> None:
        self._open.pop(message_id, None)
        if (outbox := self._outbox) is not None:
            if isinstance(outcome, list):
                outbox.put_answer(message_id, outcome)
            else:
                outbox.put(encode(MessageType.ERROR, message_id, error_to_meta(outcome)))
        self._listener.over(work, outcome)

    async def _do(self, kind: MessageType, meta: dict[str, Any]) -> None:
        behind = self._listener.behind
        if kind is MessageType.LOAD:
            await behind.load(meta["model"])
        elif kind is MessageType.UNLOAD:
            await behind.unload(meta["model"])
        elif isinstance(behind, SettingAside):
            await behind.set_aside(Aside(meta["model"], meta["version"], meta["seconds"]))

    def _answer_later(self, frame: Frame) -> None:
        async def run() -> None:
            outcome: list[Array] | ServiceError = []
            try:
                await self._do(frame.kind, frame.meta)
            except ServiceError as error:
                outcome = error
            except Exception:
                log.exception("%s of %s failed", frame.kind.name, frame.meta["model"])
                outcome = ServiceError(f"{frame.meta['model']} cannot be loaded or unloaded.")
            self._send(_encode_outcome(frame.id, outcome))

        task = asyncio.create_task(run())
        self._listener.tasks.add(task)
        task.add_done_callback(self._listener.tasks.discard)


@lru_cache(maxsize=1024)
def _encode_waiting(rows: int) -> bytes:
    return encode(MessageType.WAITING, 0, {"rows": rows})


def _encode_outcome(message_id: int, outcome: list[Array] | ServiceError) -> bytes:
    if isinstance(outcome, ServiceError):
        return encode(MessageType.ERROR, message_id, error_to_meta(outcome))
    return encode(MessageType.RESULT, message_id, {}, outcome)
