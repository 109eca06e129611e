"""The first bytes over a socket: who listens hands over the memory that both ends share, before all messages.

    magic 8 bytes · size of each memory u64, and beside them the descriptors of two: the caller writes one and reads one

The size is zero where there is no such memory, and everything goes through the socket.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from service.runtime.shared import Room, View, allocate, check

log = logging.getLogger(__name__)

Tell = Callable[[list[int]], object]

_GREETING = struct.Struct("<8sQ")
_MAGIC = b"chapter1"
_CLOSED_IN_CHILDREN = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Shared(NamedTuple):
    """What one end of a connection has of the memory: where it writes, and where it reads."""

    room: Room
    view: View

    def free(self, places: list[int]) -> None:
        """Use these places again, which the other end reads no more. Raises ValueError where nothing lies."""
        for place in places:
            self.room.free(place)


def greet(transport: asyncio.BaseTransport, size: int, tell: Tell) -> Shared | None:
    """Begin a connection, with memory of this size for either direction if there is any. Raises OSError.

    `tell` is called with the places that this end reads no more.
    """
    with ExitStack() as stack:
        descriptors: list[int] = []
        shared = None
        try:
            for _ in range(2 if size else 0):
                descriptors.append(allocate(size))
                stack.callback(os.close, descriptors[-1])
            shared = _share(descriptors, size, tell)
        except OSError as error:
            log.warning("no memory to share with a caller, all goes through the socket: %s", error)
        raw = stack.enter_context(socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())))
        if shared is None:
            raw.send(_GREETING.pack(_MAGIC, 0))
        else:  # what this end writes the caller reads
            socket.send_fds(raw, [_GREETING.pack(_MAGIC, size)], descriptors[::-1])
        return shared


async def greeted(connected: socket.socket, tell: Tell) -> Shared | None:
    """What the other end has begun the connection with. Raises OSError where that is no greeting of ours."""
    await _readable(connected)
    words, descriptors, *_ = socket.recv_fds(connected, _GREETING.size, 2, _CLOSED_IN_CHILDREN)
    with ExitStack() as stack:
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        if not words:
            raise ConnectionResetError("whoever listened has hung up")
        if len(words) != _GREETING.size:
            raise OSError(f"a greeting of {len(words)} bytes")
        magic, size = _GREETING.unpack(words)
        if magic != _MAGIC or len(descriptors) != (2 if size else 0):
            raise OSError("no greeting of ours, or its memory did not come with it")
        for descriptor in descriptors:
            check(descriptor, size)
        return _share(descriptors, size, tell)


def _share(descriptors: list[int], size: int, tell: Tell) -> Shared | None:
    """Both sides of this end; None without descriptors. Raises OSError."""
    if not descriptors:
        return None
    write, read = descriptors
    return Shared(Room(write, size), View(read, size, tell))


async def _readable(connected: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connected, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connected)
