"""What a front reads beside its event loop: large images and large bodies of JSON, in a process that may be killed."""

import asyncio
import contextlib
import itertools
import logging
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.errors import InvalidRequest, Overloaded, UnreadableImage
from service.imaging import claimed_pixels
from service.operations.reading import READERS, DocumentKind
from service.runtime.frames import Frame, FrameReader, MessageType, encode, error_of_meta
from service.settings import Settings
from service.store import ImageInput
from service.tasks.classify import Prepared, read_image, read_images

log = logging.getLogger(__name__)

QUICK_BYTES = 1 << 17
QUICK_COST = 1 << 17
"""In pixels, of what is read in the event loop at once: about two milliseconds."""
IMAGE_COSTS = 1 << 12
"""What an image costs beside its pixels."""
INK_COSTS = 8
"""How much longer a pixel takes where ink is looked for."""
QUICK_DOCUMENT_BYTES = 1 << 15
PATIENCE_S = 30.0
"""What takes longer is given up."""
WAITING_LIMIT = 64
_CHUNK_BYTES = 1 << 18


@dataclass(eq=False, slots=True)
class _Task:
    """Something to read, and who waits for it."""

    meta: dict[str, Any]
    data: bytes
    answer: "asyncio.Future[Frame]"


class Readers:
    """Reads bodies: small ones at once, others by processes that are started when they are first needed."""

    def __init__(self, settings: Settings, *, patience_s: float = PATIENCE_S) -> None:
        self.limit_pixels = settings.request_limit_pixels
        self._count = settings.readers
        self._patience_s = patience_s
        self._tasks: asyncio.Queue[_Task] = asyncio.Queue(WAITING_LIMIT)
        self._workers: list[asyncio.Task[None]] = []
        self._running: set[int] = set()

    async def image(self, data: bytes, spec: ImageInput, *, as_is: bool = False) -> Prepared:
        """One image file as a net takes it, of the request's whole budget. Raises UnreadableImage, Overloaded."""
        return await self._read(data, spec, cost_of(data, spec, as_is=as_is), as_is=as_is)

    def images_at_once(
        self, files: Sequence[bytes], spec: ImageInput, *, as_is: bool
    ) -> list[Prepared | UnreadableImage]:
        """The images of several requests that are quickly read; in an unreadable one's place, the reason."""
        return read_images(files, spec, limit_pixels=self.limit_pixels, as_is=as_is)

    async def images(
        self, images: Iterable[bytes], spec: ImageInput, *, as_is: bool = False
    ) -> list[Prepared | UnreadableImage]:
        """Several, of one budget of pixels together; in an unreadable one's place, the reason. Raises Overloaded."""
        left, since_pause = self.limit_pixels, 0
        found: list[Prepared | UnreadableImage] = []
        for data in images:
            pixels = claimed_pixels(data) or 0
            cost = _cost(len(data), pixels, spec, as_is=as_is)
            since_pause += cost
            if since_pause > QUICK_COST:
                since_pause = 0
                await asyncio.sleep(0)  # others' turn
            found.append(await self._image_within(left, pixels, data, spec, cost, as_is=as_is))
            left -= pixels if pixels <= left else 0
        return found

    async def document(self, data: bytes, kind: DocumentKind = "document") -> Any:
        """The JSON of a body, as the reader of its kind reads it. Raises InvalidRequest, Overloaded."""
        if len(data) <= QUICK_DOCUMENT_BYTES:
            return READERS[kind](data)
        frame = await self._ask({"what": kind}, data, InvalidRequest)
        document = frame.meta["document"]
        for way, array in zip(frame.meta["places"], frame.arrays, strict=True):
            if not way:
                return array
            place = document
            for step in way[:-1]:
                place = place[step]
            place[way[-1]] = array
        return document

    def processes(self) -> set[int]:
        """The processes that run now."""
        return self._running

    async def stop(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _image_within(
        self, left: int, pixels: int, data: bytes, spec: ImageInput, cost: int, *, as_is: bool
    ) -> Prepared | UnreadableImage:
        """An image of so many pixels, of a budget of which so many are left."""
        if left < pixels <= self.limit_pixels:
            return UnreadableImage(
                f"The image has {pixels:,} pixels, and those before it left {left:,} of the {self.limit_pixels:,} that"
                " are decoded for one request."
            )
        try:
            return await self._read(data, spec, cost, as_is=as_is)
        except UnreadableImage as error:
            return error

    async def _read(self, data: bytes, spec: ImageInput, cost: int, *, as_is: bool) -> Prepared:
        """An image whose cost is known: here, or where nobody waits for it."""
        if cost <= QUICK_COST:
            return read_image(data, spec, limit_pixels=self.limit_pixels, as_is=as_is)
        meta = {"what": "image", "input": spec.model_dump(), "limit_pixels": self.limit_pixels, "as_is": as_is}
        frame = await self._ask(meta, data, UnreadableImage)
        return Prepared(frame.arrays[0], tuple(frame.meta["notes"]))

    async def _ask(self, meta: dict[str, Any], data: bytes, unread: type[InvalidRequest]) -> Frame:
        """The answer of a process. Raises the error that it met, `unread` where it met its end, Overloaded."""
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(self._count)]
        task = _Task(meta, data, asyncio.get_running_loop().create_future())
        try:
            self._tasks.put_nowait(task)
        except asyncio.QueueFull:
            raise Overloaded(f"{WAITING_LIMIT} large bodies wait to be read.") from None
        try:
            frame = await task.answer
        except _Unread as error:
            raise unread(str(error)) from error
        if frame.kind is MessageType.ERROR:
            raise error_of_meta(frame.meta)
        return frame

    async def _work(self) -> None:
        """Read one thing after the other, by a process that is replaced when it fails."""
        process: _Process | None = None
        try:
            while True:
                task = await self._tasks.get()
                if task.answer.done():  # nobody waits any more
                    continue
                process = process or await _Process.start(self.limit_pixels, self._running)
                try:
                    async with asyncio.timeout(self._patience_s):
                        frame = await process.ask(task.meta, task.data)
                except TimeoutError:
                    _fail(task, f"It could not be read within {self._patience_s:g} s.")
                    await process.end()
                    process = None
                except (OSError, EOFError, ValueError) as error:
                    log.warning("a reader ended while it read %d bytes: %s", len(task.data), error)
                    _fail(task, "It could not be read: the process that read it has ended.")
                    await process.end()
                    process = None
                else:
                    if not task.answer.done():
                        task.answer.set_result(frame)
        finally:
            if process is not None:
                await process.end()


class _Unread(Exception):
    """There is no answer."""


def _fail(task: _Task, words: str) -> None:
    if not task.answer.done():
        task.answer.set_exception(_Unread(words))


class _Process:
    """A running reader."""

    def __init__(self, process: asyncio.subprocess.Process, running: set[int]) -> None:
        self._running = running
        running.add(process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._ids = itertools.count(1)
        self._answers = self._read()

    @classmethod
    async def start(cls, limit_pixels: int, running: set[int]) -> "_Process":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.processes.reader", str(limit_pixels)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process, running)

    async def ask(self, meta: dict[str, Any], data: bytes) -> Frame:
        """One answer. Raises OSError, EOFError and ValueError where there will be none."""
        question = encode(MessageType.SUBMIT, next(self._ids), meta, [np.frombuffer(data, np.uint8)])
        self._stdin.write(question)
        await self._stdin.drain()
        return await anext(self._answers)

    async def end(self) -> None:
        self._running.discard(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _read(self) -> AsyncIterator[Frame]:
        frames = FrameReader()
        while data := await self._stdout.read(_CHUNK_BYTES):
            for frame in frames.feed(data):
                yield frame
        raise EOFError("its output ended")


def is_quick(data: bytes, spec: ImageInput, *, as_is: bool) -> bool:
    """Whether an image is read in the event loop at once."""
    return cost_of(data, spec, as_is=as_is) <= QUICK_COST


def cost_of(data: bytes, spec: ImageInput, *, as_is: bool) -> int:
    """What reading an image costs, in pixels that only have to be decoded; more than QUICK_COST for a long file."""
    pixels = 0 if len(data) > QUICK_BYTES else claimed_pixels(data) or 0
    return _cost(len(data), pixels, spec, as_is=as_is)


def _cost(size: int, pixels: int, spec: ImageInput, *, as_is: bool) -> int:
    if size > QUICK_BYTES:
        return QUICK_COST + 1
    return IMAGE_COSTS + pixels * (INK_COSTS if spec.ink and not as_is else 1)
