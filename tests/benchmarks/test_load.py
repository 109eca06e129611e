"""What the programs of load count as an answer, as right, and as a fault."""

import asyncio

import numpy as np
import pytest

from benchmarks.attacks import table
from benchmarks.chaos import Report
from benchmarks.chaos import faults as faults_of_chaos
from benchmarks.load.hostile import ATTACKS
from benchmarks.load.steady import Question, questions
from benchmarks.load.wire import Line, request
from benchmarks.overload import Seen
from benchmarks.overload import faults as faults_of_overload

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@pytest.mark.parametrize("said", [WHOLE, CHUNKED])
async def test_an_answer_is_put_together_however_it_comes(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in said:
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        line = Line(server.sockets[0].getsockname()[:2])
        reply = await line.ask(request("GET", "/"))
        line.close()
    assert (reply.status, reply.body) == (200, b"hello")


async def test_a_connection_that_ends_before_its_answer_is_an_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE[:-1])
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        line = Line(server.sockets[0].getsockname()[:2])
        with pytest.raises(ConnectionError):
            await line.ask(request("GET", "/"))


def test_numbers_of_another_batch_are_right_and_other_numbers_are_not() -> None:
    question = Question(b"", lambda body: np.frombuffer(body, np.float64), np.array([0.5, 0.25]).tobytes())
    assert question.agrees(np.array([0.50001, 0.25]).tobytes())
    assert not question.agrees(np.array([0.51, 0.25]).tobytes())
    assert not question.agrees(np.array([0.5]).tobytes())
    assert len({asked.said for asked in questions()}) == len(questions())


def test_what_is_held_after_the_chaos_and_was_not_before_is_a_fault() -> None:
    report = Report(memory=[{"front": 100.0}, {"front": 110.0}], descriptors=[{"front": 20.0}, {"front": 40.0}])
    assert len(faults_of_chaos(report, ["a file"], 20)) == 2
    assert len(faults_of_chaos(report, ["a file"], 600)) == 3
    report = Report(memory=[{"front": 100.0}, {"front": 90.0}], descriptors=[{"front": 20.0}, {"front": 20.0}])
    assert faults_of_chaos(report, [], 600) == []


def test_what_a_flood_may_not_do_is_named() -> None:
    full = Seen(accepted_ms=[100.0] * 10)
    flood = Seen(accepted_ms=[150.0] * 10, refused_ms=[1.0] * 10)
    flood.retry_after_s[1.0] = 10
    flood.statuses.update({"200": 10, "429": 10})
    assert faults_of_overload(full, flood, 0.3) == []
    flood = Seen(accepted_ms=[250.0] * 10, refused_ms=[20.0] * 10, recovered_s=2.0)
    flood.retry_after_s[5.0] = 10
    flood.statuses.update({"200": 10, "500": 10})
    assert len(faults_of_overload(full, flood, 0.3)) == 5


def test_every_attack_has_a_row_also_where_it_was_not_measured() -> None:
    assert len(table({}).splitlines()) == len(ATTACKS) + 2
