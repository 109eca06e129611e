"""Large arrays between two processes lie in memory that both share, and are never anybody else's."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from runtime.behind import Answering, Behind
from waiting import eventually

from service.runtime.bundles import Item, Words
from service.runtime.calls import Array, Call, Lane
from service.runtime.frames import MessageType, encode, encode_bundle
from service.runtime.greeting import greeted
from service.runtime.link import ConnectionLost, Link
from service.runtime.listener import Listener
from service.runtime.shared import SHARED_FROM_BYTES
from service.runtime.work import Work

CALL = Call("model", "classify")
ROOM = 4 * SHARED_FROM_BYTES


@asynccontextmanager
async def linked(behind: Behind, folder: Path, *, memory_bytes: int = ROOM) -> AsyncIterator[tuple[Link, Listener]]:
    """Both ends of one socket, with memory to share."""
    listener = Listener(behind, memory_bytes=memory_bytes)
    await listener.listen(folder / "engine.sock")
    link = await Link.connect(folder / "engine.sock")
    yield link, listener
    link.close()
    await link.closed.wait()
    await listener.close()


async def submit(link: Link, *arrays: Array) -> list[Array]:
    return await link.submit(CALL, arrays, lane=Lane.BULK, deadline=None, request_id="r1")


def large(number: int, *, parts: int = 1) -> Array:
    """So many parts of the room, all of them this number."""
    return np.full((2, parts * SHARED_FROM_BYTES // 2), number, np.uint8)


def is_shared(array: Array) -> bool:
    """Whether it lies in memory that another process may see, and not in a message."""
    root: object = array
    while isinstance(root, np.ndarray):
        root = root.base
    root = root.obj if isinstance(root, memoryview) else root
    return not isinstance(root, bytes)


async def test_large_arrays_and_their_answers_lie_in_shared_memory_and_small_ones_come_by_the_socket(
    sockets: Path,
) -> None:
    async with linked(behind := Answering(), sockets) as (link, _):
        sent = [large(7), np.arange(10.0).reshape(2, 5)]
        found = await submit(link, *sent)
        small = await submit(link, np.arange(10.0).reshape(2, 5))
    for array, other in zip(found, sent, strict=True):
        np.testing.assert_array_equal(array, other)
    assert [[is_shared(array) for array in work.arrays] for work in behind.works] == [[True, True], [False]]
    assert [is_shared(array) for array in (*found, *small)] == [True, True, False]
    assert not any(array.flags.writeable for array in (*found, *behind.works[0].arrays))


async def test_several_of_one_turn_are_one_message_whether_there_is_room_or_not(sockets: Path) -> None:
    async with linked(behind := Answering(), sockets) as (link, _):
        found = await asyncio.gather(*(submit(link, large(number)) for number in range(7)))
    assert [int(answer[0, 0]) for [answer] in found] == list(range(7))
    assert [int(work.arrays[0][0, 0]) for work in behind.works] == list(range(7))
    assert [is_shared(work.arrays[0]) for work in behind.works] == [True] * 4 + [False] * 3


async def test_a_place_is_used_again_only_when_the_engine_has_done_with_it(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        first = asyncio.create_task(submit(link, large(1, parts=4)))
        await behind.arrived.wait()
        first.cancel()
        await behind.dropped.wait()  # and yet a batch may be read from it
        second = asyncio.create_task(submit(link, large(2, parts=4)))
        await eventually(lambda: len(behind.works) == 2)
        assert [is_shared(work.arrays[0]) for work in behind.works] == [True, False]
        np.testing.assert_array_equal(behind.works[0].arrays[0], large(1, parts=4))
        await behind.answer_all(2)
        [answer] = await second
        np.testing.assert_array_equal(answer, large(2, parts=4))
        behind.cancelled.clear()
        await eventually(lambda: link._shared is not None and not link._shared.room._taken)
        third = asyncio.create_task(submit(link, large(3, parts=4)))
        await eventually(lambda: len(behind.works) == 1)
        assert is_shared(behind.works[0].arrays[0])
        await behind.answer_all(1)
        await third


async def test_who_asks_again_as_soon_as_it_is_answered_finds_the_places_of_what_it_asked_before(
    sockets: Path,
) -> None:
    class Forgetting(Behind):
        """Answers with the last number of what it is sent, and keeps nothing of it."""

        shared: ClassVar[list[bool]] = []

        def enqueue(self, work: Work) -> None:
            """Answer at once."""
            self.shared.append(is_shared(work.arrays[0]))
            work.finish([work.arrays[0][-1:, -1:].copy()])

    async def ask(link: Link, number: int) -> None:
        for _ in range(8):
            [answer] = await submit(link, large(number, parts=2))
            assert int(answer[0, 0]) == number

    async with linked(Forgetting(), sockets) as (link, _):
        await asyncio.gather(ask(link, 1), ask(link, 2))  # which fill all the room there is
    assert Forgetting.shared == [True] * 16


async def test_answers_that_somebody_keeps_are_not_written_over(sockets: Path) -> None:
    async with linked(Answering(), sockets) as (link, _):
        kept = [(await submit(link, large(number)))[0] for number in range(10)]
        for number, answer in enumerate(kept):
            np.testing.assert_array_equal(answer, large(number))
    assert [is_shared(answer) for answer in kept].count(True) == 4
    for number, answer in enumerate(kept):  # also when the connection has gone
        np.testing.assert_array_equal(answer, large(number))


async def test_what_an_engine_held_stays_as_it_was_when_its_caller_is_gone(sockets: Path) -> None:
    async with linked(behind := Behind(), sockets) as (link, listener):
        asked = asyncio.create_task(submit(link, large(5)))
        await behind.arrived.wait()
        link.close()
        await eventually(lambda: not listener.connections)
        with pytest.raises(ConnectionLost):
            await asked
        again = await Link.connect(sockets / "engine.sock")
        other = asyncio.create_task(submit(again, large(6)))
        await eventually(lambda: len(behind.works) == 2)
        assert [int(work.arrays[0][0, 0]) for work in behind.works] == [5, 6]
        again.close()
        with pytest.raises(ConnectionLost):
            await other


async def test_where_no_memory_is_to_be_had_all_goes_through_the_socket(
    sockets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    async with linked(behind := Answering(), sockets) as (link, _):
        [answer] = await submit(link, large(1))
    np.testing.assert_array_equal(answer, large(1))
    assert not is_shared(behind.works[0].arrays[0])
    assert "all goes through the socket" in caplog.text


async def test_neither_end_keeps_a_descriptor_of_a_connection_that_is_over(sockets: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    listener = Listener(behind := Answering(), memory_bytes=ROOM)
    await listener.listen(sockets / "engine.sock")
    before = count()
    for _ in range(20):
        link = await Link.connect(sockets / "engine.sock")
        await submit(link, large(1))
        link.close()
        await link.closed.wait()
        behind.works.clear()
    await eventually(lambda: not listener.connections)
    assert count() <= before
    await listener.close()


@pytest.mark.parametrize("said", [b"", b"chapter1", b"\xff" * 16, b"chapter1" + (1 << 20).to_bytes(8, "little")])
async def test_whoever_does_not_greet_as_an_engine_does_is_no_engine(sockets: Path, said: bytes) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(greet, sockets / "engine.sock")
    with pytest.raises(OSError, match=r"\w"):
        await Link.connect(sockets / "engine.sock")
    server.close()


async def test_who_gives_up_before_it_is_greeted_leaves_nothing_open(sockets: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(sockets / "engine.sock"))
        silent.listen()
        connecting = asyncio.create_task(Link.connect(sockets / "engine.sock"))
        caller, _ = await asyncio.to_thread(silent.accept)
        connecting.cancel()
        await asyncio.wait([connecting])
        assert await asyncio.to_thread(caller.recv, 1) == b""
        caller.close()


async def hangs_up(path: Path, *messages: bytes) -> bool:
    """Whether whoever listens ends the connection over what a caller says."""
    connected = socket.socket(socket.AF_UNIX)
    connected.setblocking(False)  # noqa: FBT003 - its only argument
    await asyncio.get_running_loop().sock_connect(connected, str(path))
    assert await greeted(connected, lambda _: None) is not None
    reader, writer = await asyncio.open_unix_connection(sock=connected)
    writer.write(b"".join(messages))
    with suppress(OSError):
        while await reader.read(1 << 16):
            pass
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def lying(place: int, shape: tuple[int, ...]) -> bytes:
    """A submission whose arrays are said to be in shared memory."""
    words = Words(CALL, Lane.BULK, ((np.dtype(np.uint8), shape),), shared=True)
    return encode_bundle(MessageType.SUBMISSIONS, [Item(words, 1, None, "", (), place)])


@pytest.mark.parametrize(
    "messages",
    [
        [lying(64, (ROOM,))],
        [lying(ROOM, (64,))],
        [lying(1, (64,))],
        [lying(2**64 - 64, (128,))],
        [lying(0, (2**62, 4))],
        [lying(0, (64,)), lying(0, (64,))],
        [encode(MessageType.DONE, 0, {"places": [0]})],
        [encode(MessageType.DONE, 0, {"places": ["0"]})],
        [encode(MessageType.DONE, 0, {"places": 7})],
        [encode(MessageType.DONE, 0, {})],
    ],
)
async def test_a_caller_that_names_what_is_not_there_is_hung_up_on_and_others_are_not(
    sockets: Path, messages: list[bytes]
) -> None:
    async with linked(behind := Behind(), sockets) as (link, _):
        assert await hangs_up(sockets / "engine.sock", *messages)
        behind.works.clear()
        asked = asyncio.create_task(submit(link, large(3)))
        await behind.answer_all(1)
        [answer] = await asked
    np.testing.assert_array_equal(answer, large(3))


class Slowly(Behind):
    """Answers in any order, after other work came, whether it is cancelled or not; and notes what changed meanwhile."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.draw = draw
        self.changed: list[int] = []

    def enqueue(self, work: Work) -> None:
        """Keep it, with the number that all of its rows are; answer some others."""
        self.works.append(work)
        self.draw.shuffle(self.works)
        while len(self.works) > self.draw.randint(0, 4):
            self.answer(self.works.pop())

    def answer(self, work: Work) -> None:
        """Answer it, if it is still what it was."""
        [array] = work.arrays
        if len(np.unique(array)) != 1:
            self.changed.append(int(array[0, 0]))
        work.finish([array])


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_cancelled_or_lost_nobody_gets_the_rows_of_another(sockets: Path, seed: int) -> None:
    draw = random.Random(seed)
    behind = Slowly(draw)
    listener = Listener(behind, memory_bytes=ROOM)
    await listener.listen(sockets / "engine.sock")
    kept: list[tuple[int, Array]] = []
    answered = 0

    async def ask(link: Link, number: int) -> None:
        nonlocal answered
        asked = asyncio.create_task(submit(link, large(number, parts=draw.choice([1, 1, 2]))))
        if draw.random() < 0.3:
            for _ in range(draw.randint(0, 6)):
                await asyncio.sleep(0)
            asked.cancel()
        with suppress(asyncio.CancelledError, ConnectionLost):
            [answer] = await asked
            answered += 1
            assert (answer == number).all()
            if draw.random() < 0.1:
                kept.append((number, answer))

    for _ in range(4):
        link = await Link.connect(sockets / "engine.sock")
        asking = [asyncio.create_task(ask(link, number)) for number in range(50)]
        for _ in range(200):
            await asyncio.sleep(0)
        while behind.works:
            behind.answer(behind.works.pop())
            await asyncio.sleep(0)
        link.close()
        await asyncio.gather(*asking)
    assert answered
    assert behind.changed == []
    assert all((answer == number).all() for number, answer in kept)
    await eventually(lambda: not listener.connections)
    await listener.close()
