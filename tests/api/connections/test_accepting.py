import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from waiting import eventually

from service.api.connections import accepting
from service.api.connections.accepting import BEGUN_AT_ONCE, MORE, MORE_AT_ONCE, ROOM, Acceptor


class Begun:
    """Notes which connections are begun, by the port at their other end."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._kept: list[socket.socket] = []

    async def begin(self, connection: socket.socket) -> None:
        self._kept.append(connection)
        self.ports.append(connection.getpeername()[1])

    def close(self) -> None:
        for connection in self._kept:
            connection.close()


@contextmanager
def calls(address: tuple[str, int], host: str, count: int) -> Iterator[list[socket.socket]]:
    """So many connections from one address."""
    made = [socket.create_connection(address, source_address=(host, 0)) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[socket.socket, Acceptor, Begun]]:
    """An acceptor that takes nothing yet."""
    begun = Begun()
    with socket.create_server(("127.0.0.1", 0), backlog=2 * ROOM) as at:
        acceptor = Acceptor(at, begun.begin, lambda peer: str(peer[0]))
        try:
            yield at, acceptor, begun
        finally:
            acceptor.close()
            await acceptor.wait_closed()
            begun.close()


def ports(made: list[socket.socket]) -> list[int]:
    return [each.getsockname()[1] for each in made]


async def test_the_first_of_a_quiet_client_is_begun_before_all_of_one_that_makes_many() -> None:
    async with listening() as (at, acceptor, begun):
        with calls(at.getsockname(), "127.0.0.66", 200) as many, calls(at.getsockname(), "127.0.0.9", 1) as one:
            await acceptor.start_serving()
            await eventually(lambda: len(begun.ports) == len(many) + len(one))
            assert begun.ports.index(ports(one)[0]) < len(many) / 2


async def test_of_one_client_only_so_many_are_begun_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "MORE", 0)  # it has made hundreds already
    async with listening() as (at, acceptor, begun):
        with calls(at.getsockname(), "127.0.0.66", 100) as many:
            await acceptor.start_serving()
            before = 0
            while before < len(many):
                await asyncio.sleep(0)
                assert len(begun.ports) - before <= 2 * BEGUN_AT_ONCE  # a turn's own, and those of what it took
                before = len(begun.ports)
            assert begun.ports == ports(many)


async def test_a_few_hundred_that_come_together_are_begun_in_few_turns() -> None:
    async with listening() as (at, acceptor, begun):
        with calls(at.getsockname(), "127.0.0.66", MORE) as many:
            await acceptor.start_serving()
            turns = before = 0
            while before < len(many):
                await asyncio.sleep(0)
                assert len(begun.ports) - before <= 2 * (BEGUN_AT_ONCE + MORE_AT_ONCE)
                turns, before = turns + 1, len(begun.ports)
            assert turns < MORE / BEGUN_AT_ONCE / 2
            assert begun.ports == ports(many)


async def test_a_connection_that_was_reset_before_its_turn_is_never_begun() -> None:
    async with listening() as (at, acceptor, begun):
        with calls(at.getsockname(), "127.0.0.66", 50) as many, calls(at.getsockname(), "127.0.0.66", 1) as last:
            for gone in many:
                gone.sendall(b"GET / HTTP/1.1\r\n\r\n" * 50)
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                gone.close()
            await acceptor.start_serving()
            await eventually(lambda: bool(begun.ports))
            assert begun.ports == ports(last)


async def test_what_it_has_taken_is_begun_when_it_closes() -> None:
    async with listening() as (at, acceptor, begun):
        with calls(at.getsockname(), "127.0.0.66", 60) as many:
            await acceptor.start_serving()
            await eventually(lambda: bool(begun.ports))
            acceptor.close()
            await acceptor.wait_closed()
            at.settimeout(0)
            left = 0
            while True:
                try:
                    at.accept()[0].close()
                except BlockingIOError:
                    break
                left += 1
            assert begun.ports == ports(many)[: len(many) - left]
            assert not acceptor.is_serving()
