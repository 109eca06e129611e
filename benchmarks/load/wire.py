"""HTTP/1.1 as bytes over a kept connection: the load is to take less of the processor than what it measures."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def retry_after_s(self) -> float:
        """When to ask again; half a second where nothing is said."""
        return float(self.headers.get(b"retry-after", b"0.5"))


def request(method: str, path: str, body: bytes = b"", *, media: str = "", **headers: str) -> bytes:
    """A request as it goes over the connection."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {said}" for name, said in headers.items())]
    if body or method == "POST":
        lines += [f"content-length: {len(body)}"]
    if media:
        lines += [f"content-type: {media}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """A connection that is kept, and opened anew where it was closed."""

    def __init__(self, address: Address, source: str | None = None) -> None:
        self._address = address
        self._source = (source, 0) if source else None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, said: bytes) -> Reply:
        """The answer. Raises OSError where the connection ends before it has come."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, local_addr=self._source)
        reader, writer = self._streams
        try:
            writer.write(said)
            reply = await _read(reader)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        except BaseException:
            self.close()
            raise
        if reply.headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return reply

    def close(self) -> None:
        """Hang up; what was not answered never is."""
        if self._streams is not None:
            with suppress(OSError, RuntimeError):
                self._streams[1].transport.abort()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Reply:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    headers = {name.lower(): said.strip() for name, _, said in pairs}
    if headers.get(b"transfer-encoding") == b"chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get(b"content-length", 0)))
    return Reply(int(first.split(b" ")[1]), headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
