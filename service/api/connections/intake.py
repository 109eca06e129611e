"""How much of large bodies a front takes in one turn of its event loop, so that nobody waits for many of them."""

import asyncio
from collections import deque

from uvicorn.protocols.http.flow_control import FlowControl

LARGE_BYTES = 1 << 16
"""A piece of a body from which on its connection waits for its turn before the next one is read."""
AT_ONCE = 4
"""Connections that read a large piece in one turn: a quarter of a megabyte each, copied some times."""


class Flow(FlowControl):
    """The reading and writing of one connection, whose reading may wait for its turn."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._waits = False
        self._wanted = False

    def is_closing(self) -> bool:
        """Whether nothing is read any more."""
        return self._transport.is_closing()

    def wait(self) -> None:
        """Read nothing until `go_on` is called, whoever wants to."""
        self._wanted = not self.read_paused
        self.pause_reading()
        self._waits = True

    def resume_reading(self) -> None:
        """Read on, or do so when it is this connection's turn."""
        if self._waits:
            self._wanted = True
        else:
            super().resume_reading()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if self._waits:
            self._wanted = False
        super().pause_reading()

    def go_on(self) -> None:
        """It is this connection's turn."""
        self._waits = False
        if self._wanted and not self._transport.is_closing():
            super().resume_reading()


class Intake:
    """The connections of a front that wait for their turn, first come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Flow] = deque()

    def took(self, flow: Flow, size: int) -> None:
        """Have a connection that has just brought a large piece wait for its turn."""
        if size < LARGE_BYTES or flow.is_closing():
            return
        flow.wait()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting.append(flow)

    def _turn(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self._waiting.popleft().go_on()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
