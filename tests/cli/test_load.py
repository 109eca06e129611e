import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from waiting import PATIENCE_S

from service.cli.load import ILLEGIBLE, LOST, Load, Reading, put_load, run_load
from service.errors import ConfigurationError

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BODY = b"pixels" * 100
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """The address of a server that lets `answer` deal with every connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/classify?model=x"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(BODY)) == BODY
    return head


async def reading_of(answer: Answer, *, enough: Callable[[Reading], bool]) -> Reading:
    """What a load finds that is put on for as long as it takes to find enough."""
    seconds = 0.1
    async with answering(answer) as url:
        while not enough(reading := await put_load(Load(url, BODY, connections=3, seconds=seconds))):
            assert seconds < PATIENCE_S, reading
            seconds *= 2
    return reading


async def test_every_connection_asks_again_as_soon_as_it_has_its_answer() -> None:
    heads: set[bytes] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.add(await read_request(reader))
            writer.write(WHOLE[:25])
            await asyncio.sleep(0)
            writer.write(WHOLE[25:])

    reading = await reading_of(answer, enough=lambda found: len(found.latencies_s) > 10)
    assert list(reading.latencies_s) == sorted(reading.latencies_s)
    assert reading.errors == {}
    assert 0 < reading.percentile_ms(0.5) <= reading.percentile_ms(0.99)
    [head] = heads
    assert head.startswith(b"POST /classify?model=x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nContent-Type: image/png\r\n" in head


async def test_errors_are_counted_by_status_and_are_no_requests_answered() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno")

    reading = await reading_of(answer, enough=lambda found: found.errors.get("503", 0) > 10)
    assert reading.requests_per_s == 0
    assert math.isnan(reading.percentile_ms(0.5))


async def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    reading = await reading_of(answer, enough=lambda found: len(found.latencies_s) > 10)
    assert reading.errors == {}


async def test_a_lost_connection_is_an_error_and_is_made_anew() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(WHOLE)
        await read_request(reader)

    await reading_of(answer, enough=lambda found: found.errors.get(LOST, 0) > 2 and len(found.latencies_s) > 2)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0 content-length: 3\r\n\r\n"])
async def test_a_reply_that_is_not_understood_is_an_error(reply: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await reader.read()

    reading = await reading_of(answer, enough=lambda found: found.errors.get(ILLEGIBLE, 0) > 2)
    assert LOST not in reading.errors


@pytest.mark.parametrize("url", ["127.0.0.1:80", "http://", "http://127.0.0.1:many", "http://127.0.0.1:{}"])
def test_a_server_that_is_not_there_is_said(url: str, silent_port: int) -> None:
    with pytest.raises(ConfigurationError):
        run_load(Load(url.format(silent_port), BODY, seconds=0.1))
