"""An open loop: requests at the moments of a schedule, whether or not earlier ones were answered.

    python -m benchmarks.peers.opened PORT PATH MEDIA FOLDER COUNT RATE SECONDS

A time begins when a request was due, not when it could be sent, so a server that stalls is charged for all who would
have come meanwhile. Moments are drawn as those of many independent callers (exponential gaps). One thread sleeps and
sends, another listens; a connection is taken that waits for nothing, and a new one is made where none does. It prints
one line of JSON.
"""

import json
import selectors
import socket
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.load.wire import reply_in, request

PATIENCE_S = 30.0
"""For which answers are awaited when the last request has been sent."""
LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Opened:
    """What one server did at one rate, in milliseconds from the moment that a request was due."""

    per_s: float
    """As offered."""
    answered: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    late_ms: float
    """The p99 of how late this program was in sending."""


class Caller:
    """Connections, of which each waits for one answer or for nothing."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._free: deque[socket.socket] = deque()
        self._waiting: dict[socket.socket, tuple[float, bytes]] = {}
        self._ears = selectors.DefaultSelector()
        self._over, self._given_up = threading.Event(), threading.Event()
        self._listening = threading.Thread(target=self._listen)
        self.seconds: list[float] = []
        self.failed = 0

    def __enter__(self) -> Self:
        self._listening.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._ears.close()
        for line in (*self._free, *self._waiting):
            line.close()

    @property
    def outstanding(self) -> int:
        """How many have no answer yet."""
        return len(self._waiting)

    def send(self, said: bytes, due: float) -> None:
        """One request over a connection that waits for nothing."""
        try:
            line = self._free.pop()
        except IndexError:
            line = socket.create_connection(self._address)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ears.register(line, selectors.EVENT_READ)
        self._waiting[line] = (due, b"")
        line.sendall(said)

    def end(self) -> None:
        """Wait for what has been asked, though not for ever."""
        self._over.set()
        self._listening.join(PATIENCE_S)
        self._given_up.set()
        self._listening.join()

    def _listen(self) -> None:
        """Take answers until all have come after the end."""
        while not self._given_up.is_set() and (self._waiting or not self._over.is_set()):
            for key, _ in self._ears.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                self._hear(key.fileobj)

    def _hear(self, line: socket.socket) -> None:
        try:
            heard = line.recv(LARGEST)
        except OSError:
            heard = b""
        due, before = self._waiting.get(line, (0.0, b""))
        if not heard:
            self._ears.unregister(line)
            line.close()
            self.failed += self._waiting.pop(line, None) is not None
            return
        reply = reply_in(before + heard)
        if reply is None:
            self._waiting[line] = (due, before + heard)
            return
        del self._waiting[line]
        self._free.append(line)
        if reply.status == 200:
            self.seconds.append(time.perf_counter() - due)
        else:
            self.failed += 1


def moments(per_s: float, seconds: float, seed: int = 0) -> list[float]:
    """When requests are due, from now on."""
    gaps = np.random.default_rng(seed).exponential(1 / per_s, int(per_s * seconds))
    found: list[float] = gaps.cumsum().tolist()
    return found


def call(port: int, asked: list[bytes], per_s: float, seconds: float) -> Opened:
    """Send all of the schedule, and wait for the answers."""
    late = []
    with Caller(port) as caller:
        began = time.perf_counter() + 0.05
        for number, moment in enumerate(moments(per_s, seconds)):
            due = began + moment
            if (ahead := due - time.perf_counter()) > 0:
                time.sleep(ahead)
            late.append(max(0.0, time.perf_counter() - due))
            try:
                caller.send(asked[number % len(asked)], due)
            except OSError:
                caller.failed += 1
        caller.end()
        answered, failed = len(caller.seconds), caller.failed + caller.outstanding
    times = caller.seconds or [float("nan")]
    p50, p99, p999 = (1000 * float(np.percentile(times, percent)) for percent in (50, 99, 99.9))
    late_ms = 1000 * float(np.percentile(late, 99))
    return Opened(per_s, answered, failed, p50, p99, p999, late_ms)


def main() -> None:
    """Call, and tell."""
    port, path, media, folder, count, per_s, seconds = sys.argv[1:]
    bodies = [(Path(folder) / f"body-{number}").read_bytes() for number in range(1, int(count) + 1)]
    asked = [request("POST", path, body, media=media) for body in bodies]
    sys.setswitchinterval(1e-4)
    print(json.dumps(asdict(call(int(port), asked, float(per_s), float(seconds)))))


if __name__ == "__main__":
    main()
