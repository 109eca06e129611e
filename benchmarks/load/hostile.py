"""Clients that nobody wants: what each says, how many there are of it, and what they are answered.

    python -m benchmarks.load.hostile NAME HOST PORT SECONDS

is one attack from a process of its own; it prints a line when it begins, and another that says how often it met
which status.
"""

import asyncio
import json
import os
import random
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import numpy as np
import orjson

from benchmarks.load.wire import CLOSE, Address, request
from service.imaging import encode_png

SOURCE = "127.0.0.66"
"""Where attackers come from: limits that hold for each client are not to hit the well-behaved."""
MEBIBYTE = 1 << 20
PIECE = 1 << 16
SIDE = 8192
BOUNDARY = "attack"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
HEAD = b"POST /classify HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/png\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(range(160))


@dataclass
class Foe:
    """One hostile connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    statuses: Counter[str]
    heard: bool = False

    async def say(self, said: bytes) -> None:
        """Send it, as far as the other side takes it. Raises OSError where that has hung up."""
        for start in range(0, len(said), PIECE):
            if self.writer.is_closing():
                raise ConnectionResetError("hung up")
            self.writer.write(said[start : start + PIECE])
            await self.writer.drain()

    async def drip(self, said: bytes, every_s: float) -> None:
        """Send it byte by byte."""
        for byte in said:
            await self.say(bytes([byte]))
            await asyncio.sleep(every_s)

    async def hear(self) -> None:
        """Wait for what it is answered: a status, or nothing but the end."""
        head = await self.reader.readline()
        self.heard = True
        self.statuses[head.split(b" ")[1].decode() if head.startswith(b"HTTP") else "closed"] += 1
        while await self.reader.read(PIECE):
            pass

    def hang_up(self) -> None:
        """Reset the connection."""
        if (connection := self.writer.get_extra_info("socket")) is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Says = Callable[[Foe], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """So many connections that each do the same until time is up."""

    what: str
    connections: int
    says: Says
    again: bool = True
    """Whether a connection that is over is made once more."""
    needs: Callable[[], bytes] | None = None
    """What takes a while to make, and is kept."""


async def carry_out(attack: Attack, address: Address, seconds: float) -> Counter[str]:
    """Attack; how often which status was met. What was not answered when time was up was `held`."""
    statuses: Counter[str] = Counter()
    until = asyncio.get_running_loop().time() + seconds

    async def one() -> None:
        while True:
            began = asyncio.get_running_loop().time()
            await meet(attack.says, address, statuses, until)
            if not attack.again or until - asyncio.get_running_loop().time() < seconds / 20:
                return
            await asyncio.sleep(max(0.0, 0.02 - (asyncio.get_running_loop().time() - began)))

    await asyncio.gather(*(one() for _ in range(attack.connections)))
    return statuses


async def meet(says: Says, address: Address, statuses: Counter[str], until: float) -> None:
    """One connection from its beginning to its end, or to the moment that time is up."""
    foe = None
    try:
        async with asyncio.timeout_at(until):
            foe = Foe(*await asyncio.open_connection(*address, local_addr=(SOURCE, 0)), statuses)
            await says(foe)
    except TimeoutError:
        if foe is None or not foe.heard:
            statuses["held" if foe else "not let in"] += 1
    except OSError:
        if foe is None or not foe.heard:
            statuses["closed"] += 1
    finally:
        if foe is not None:
            foe.hang_up()


@cache
def large_image() -> bytes:
    """8192² pixels of RGBA that are all the same: a quarter of a megabyte that unfolds to 268."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + 4 * SIDE)
    packed = b"".join([*(packer.compress(row) for _ in range(SIDE)), packer.flush()])
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@cache
def small_image() -> bytes:
    """28×28 pixels."""
    return encode_png(np.random.default_rng(1).integers(0, 256, (28, 28, 1), np.uint8))


@cache
def faulty_document() -> bytes:
    """4.9 MB of JSON in which every value is a fault."""
    return orjson.dumps({"history": ["x"] * 1_225_000, "horizon": 5})


@cache
def dear_fit() -> bytes:
    """A history of 10,000 steps in 32 channels, to be fitted."""
    values = np.random.default_rng(2).normal(size=(10_000, 32)).round(3)
    return orjson.dumps({"history": values.tolist(), "horizon": 10, "fit": True})


def form(parts: dict[str, bytes]) -> bytes:
    """A form; every name that does not begin with a dot is a file's."""
    pieces = []
    for name, said in parts.items():
        file = "" if name.startswith(".") else f'; filename="{name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name.lstrip(".")}"{file}\r\n\r\n'
        pieces += [head.encode(), said, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def samples(seed: int, count: int = 64) -> bytes:
    """A form that asks for an evaluation of features, which nobody has asked for before."""
    rng = np.random.default_rng(seed)
    parts = {}
    for name in ("generated", "reference"):
        stream = BytesIO()
        np.savez(stream, features=rng.normal(size=(count, 16)).astype(np.float32))
        parts[name] = stream.getvalue()
    return form({**parts, ".metrics": b"fid", ".intervals": b"false"})


async def _slow_head(foe: Foe) -> None:
    await foe.drip(LIVE[:-4] + b"\r\nx-slow: " + b"a" * 10_000, 0.5)


async def _endless_head(foe: Foe) -> None:
    await foe.say(b"GET /health/live HTTP/1.1\r\n")
    for number in range(91 * MEBIBYTE // PIECE):
        await foe.say(b"x-%d: " % number + b"a" * (PIECE - 16) + b"\r\n")
    await foe.hear()


async def _idle(foe: Foe) -> None:
    await foe.hear()


async def _silent_post(foe: Foe) -> None:
    await foe.say(HEAD + b"content-length: 5000\r\n\r\n")
    await foe.hear()


async def _half_open_upload(foe: Foe) -> None:
    await foe.say(
        b"POST /evaluate HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2147483648\r\n"
        + f"content-type: {FORM}\r\n\r\n--{BOUNDARY}\r\n".encode()
        + b'Content-Disposition: form-data; name="generated"; filename="g"\r\n\r\n'
    )
    await foe.hear()


async def _large_image(foe: Foe) -> None:
    await foe.say(request("POST", "/classify", large_image(), media="image/png", headers=CLOSE))
    await foe.hear()


async def _form_of_large_images(foe: Foe) -> None:
    body = form({f"image{number}": large_image() for number in range(40)})
    await foe.say(request("POST", "/classify", body, media=FORM, headers=CLOSE))
    await foe.hear()


async def _faulty_json(foe: Foe) -> None:
    await foe.say(request("POST", "/forecast", faulty_document(), media=JSON, headers=CLOSE))
    await foe.hear()


async def _stalled_body(foe: Foe) -> None:
    await foe.say(HEAD + b"content-length: %d\r\n\r\n" % (16 * MEBIBYTE) + bytes(16 * MEBIBYTE - 1))
    await foe.hear()


async def _occlusion(foe: Foe) -> None:
    path = "/explain?model=googlenet-cifar10&method=occlusion"
    await foe.say(request("POST", path, small_image(), media="image/png", headers=CLOSE))
    await foe.hear()


async def _dear_fit(foe: Foe) -> None:
    await foe.say(request("POST", "/forecast", dear_fit(), media=JSON, headers=CLOSE))
    await foe.hear()


async def _waiter(foe: Foe) -> None:
    body = samples(random.randrange(1 << 30))
    await foe.say(request("POST", "/evaluate", body, media=FORM, headers={"prefer": "wait=30", **CLOSE}))
    await foe.hear()


async def _pipelined_hang_up(foe: Foe) -> None:
    await foe.say(request("POST", "/classify", small_image(), media="image/png") * 50)
    foe.statuses["hung up"] += 1


async def _tls_hello(foe: Foe) -> None:
    await foe.say(TLS_HELLO)
    await foe.hear()


async def _port_scan(foe: Foe) -> None:
    foe.statuses["gone"] += 1


async def _hang_up(foe: Foe) -> None:
    await foe.say(request("POST", "/classify", small_image(), media="image/png"))
    foe.statuses["hung up"] += 1


async def _garbage(foe: Foe) -> None:
    await foe.say(random.randbytes(4096))
    await foe.hear()


async def _broken_body(foe: Foe) -> None:
    await foe.say(request("POST", "/classify", small_image()[:-20], media="image/png", headers=CLOSE))
    await foe.hear()


ATTACKS = {
    "slow-heads": Attack("slow headers, a byte every half second", 200, _slow_head),
    "endless-head": Attack("one header of 91 MB", 1, _endless_head),
    "idle": Attack("1,100 connections that say nothing", 1100, _idle, again=False),
    "silent-posts": Attack("1,024 POSTs without their bodies", 1024, _silent_post, again=False),
    "half-open-uploads": Attack("8 uploads that claim 2 GiB", 8, _half_open_upload),
    "large-image": Attack("images of 8192² RGBA, one after the other", 1, _large_image, needs=large_image),
    "form-of-large-images": Attack("a form of 40 such images", 1, _form_of_large_images, needs=large_image),
    "faulty-json": Attack("4.9 MB of JSON, all of it faults", 1, _faulty_json, needs=faulty_document),
    "stalled-bodies": Attack("40 bodies of 16 MiB that stall", 40, _stalled_body, again=False),
    "occlusions": Attack("four occlusions of GoogLeNet", 4, _occlusion),
    "dear-fit": Attack("a fit of 10,000 steps by 32 channels", 1, _dear_fit, needs=dear_fit),
    "waiters": Attack("300 who wait for their evaluations", 300, _waiter),
    "pipelined-hang-ups": Attack("50 requests in a pipeline, then a hang-up", 20, _pipelined_hang_up),
    "tls-hellos": Attack("TLS hellos", 20, _tls_hello),
    "port-scan": Attack("connections that go at once", 20, _port_scan),
}
"""What is measured one by one."""

MISCHIEF = {
    **{name: ATTACKS[name].says for name in ("slow-heads", "idle", "silent-posts", "half-open-uploads", "large-image")},
    **{name: ATTACKS[name].says for name in ("stalled-bodies", "faulty-json", "pipelined-hang-ups", "tls-hellos")},
    "endless-head": _endless_head,
    "hang-up": _hang_up,
    "garbage": _garbage,
    "broken-body": _broken_body,
}
"""What chaos mixes."""


def main(name: str, host: str, port: str, seconds: str) -> None:
    """Attack, and print what was met."""
    os.nice(5)  # attackers have machines of their own
    setrlimit(RLIMIT_NOFILE, (getrlimit(RLIMIT_NOFILE)[1],) * 2)
    attack = ATTACKS[name]
    if attack.needs is not None:
        attack.needs()
    print(attack.what, flush=True)
    print(json.dumps(asyncio.run(carry_out(attack, (host, int(port)), float(seconds)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
