"""Engines of other machines: who is let in, what they may be asked, and that nothing hangs on one of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from runtime.behind import Answering, Behind, Refusing
from waiting import PATIENCE_S, eventually

from service.errors import ConfigurationError, ModelNotFound
from service.runtime import peers as module
from service.runtime import pool as pools
from service.runtime.calls import Call, Engines, Lane, LoadedModel
from service.runtime.frames import MessageType, encode
from service.runtime.kinds import of_one_kind
from service.runtime.link import Link
from service.runtime.listener import Listener
from service.runtime.peers import MAGIC, NUMBER_BYTES, Address, Meeting, Refused, introduced
from service.runtime.pool import EnginePool
from service.settings import Settings, read_settings

CALL = Call("echo", "features")
SECRET = b"a secret of thirty-two characters"
HERE = Address("127.0.0.1", 0)
BITS = "a card, torch 2"
HELD = {"echo": LoadedModel("1", "ready", "device")}

Listening = Callable[..., Awaitable[Listener]]


@pytest.fixture
async def listening(sockets: Path) -> AsyncIterator[Listening]:
    """Begins what listens, and ends it."""
    begun: list[Listener] = []

    async def begin(behind: Behind, name: str, *, bits: str = BITS) -> Listener:
        listener = Listener(behind, bits=bits)
        begun.append(listener)
        await listener.listen(sockets / f"{name}.sock")
        return listener

    yield begin
    for listener in begun:
        await listener.close()


@pytest.fixture
async def pool(sockets: Path) -> AsyncIterator[EnginePool]:
    """Over the one engine of this service."""
    started = EnginePool([sockets / "all-0.sock"])
    await started.start()
    yield started
    await started.stop()


async def address_of(listener: Listener) -> Address:
    return Address("127.0.0.1", await listener.listen_to_peers(HERE, SECRET))


async def reached(pool: EnginePool, peers: list[Listener]) -> None:
    """Wait until the service's own engine and all peers have said what they are."""
    pool.reach([await address_of(peer) for peer in peers], SECRET)
    await eventually(lambda: len(pool._links) == 1 and len(pool._peers) == len(peers))
    await eventually(lambda: all(link.bits for link in [*pool._links, *pool._peers]))


async def ask(engines: Engines, times: int) -> None:
    answers = await asyncio.gather(*(engines.submit(CALL, [np.full(1, number)]) for number in range(times)))
    assert [int(answer[0]) for [answer] in answers] == list(range(times))


async def test_who_knows_the_secret_has_work_done_that_goes_last(listening: Listening) -> None:
    behind = Answering(held=HELD)
    address = await address_of(await listening(behind, "all-0"))
    link = await Link.reach(address, SECRET, lambda _: None)
    [answer] = await link.submit(CALL, [np.arange(3)], lane=Lane.INTERACTIVE, deadline=1.0, request_id="r")
    np.testing.assert_array_equal(answer, np.arange(3))
    [work] = behind.works
    assert (work.lane, work.deadline, work.request_id) == (Lane.BULK, None, "r")
    link.close()
    await link.closed.wait()


async def test_who_does_not_know_it_hears_nothing_of_the_engine(listening: Listening) -> None:
    behind = Answering(held=HELD)
    listener = await listening(behind, "all-0")
    address = await address_of(listener)
    with pytest.raises(OSError, match="hung up"):
        await introduced(address, b"another secret of thirty-two chars")
    reader, writer = await asyncio.open_connection(*address)
    assert (await reader.readexactly(len(MAGIC) + NUMBER_BYTES)).startswith(MAGIC)
    writer.write(bytes(2 * NUMBER_BYTES))
    assert await reader.read() == b""
    writer.close()
    assert not listener.connections


async def test_who_is_not_let_in_fills_no_log(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    address = await address_of(await listening(Behind(), "all-0"))
    for _ in range(5):
        with pytest.raises(OSError, match="hung up"):
            await introduced(address, b"another secret of thirty-two chars")
    assert [record.message for record in caplog.records] == [
        "a caller of the engine was not let in: it does not know the secret"
    ]


async def test_nobody_is_asked_who_does_not_know_it(silent_port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MAGIC + bytes(NUMBER_BYTES))
        await reader.readexactly(2 * NUMBER_BYTES)
        writer.write(bytes(NUMBER_BYTES))
        writer.close()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    for say in (answer, greet):
        server = await asyncio.start_server(say, "127.0.0.1", 0)
        with pytest.raises(Refused):
            await introduced(Address(*server.sockets[0].getsockname()), SECRET)
        server.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await introduced(Address("127.0.0.1", silent_port), SECRET)


async def test_who_says_nothing_is_heard_for_a_while_only(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROOF_S", 0.05)
    monkeypatch.setattr(module, "MOST_STRANGERS", 1)
    address = await address_of(await listening(Answering(), "all-0"))
    silent = [await asyncio.open_connection(*address) for _ in range(3)]
    for reader, writer in silent:
        assert len(await reader.read()) in (0, len(MAGIC) + NUMBER_BYTES)
        writer.close()
    monkeypatch.setattr(module, "PROOF_S", PATIENCE_S)
    link = await Link.reach(address, SECRET, lambda _: None)
    link.close()
    await link.closed.wait()


@pytest.mark.parametrize("kind", [MessageType.LOAD, MessageType.UNLOAD, MessageType.NEWS])
async def test_a_peer_changes_nothing_of_an_engine(listening: Listening, kind: MessageType) -> None:
    behind = Behind()
    address = await address_of(await listening(behind, "all-0"))
    connected = await introduced(address, SECRET)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    reader, writer = await asyncio.open_connection(sock=connected)
    writer.write(encode(kind, 1, {"model": "echo"}))
    await reader.read()  # until it hangs up
    writer.close()
    assert behind.commands == []


async def test_peers_whose_bits_are_the_same_take_their_part(listening: Listening, pool: EnginePool) -> None:
    behinds = [Behind(held=HELD) for _ in range(3)]
    own, alike, other = [
        await listening(behind, f"all-{place}", bits=bits)
        for place, (behind, bits) in enumerate(zip(behinds, (BITS, BITS, "another card"), strict=True))
    ]
    assert own.bits == alike.bits
    await reached(pool, [alike, other])
    engines = of_one_kind(pool)
    assert pool.width() == 1  # of those that answer everybody
    asked = asyncio.create_task(ask(engines, 6))
    await asyncio.gather(behinds[0].answer_all(3), behinds[1].answer_all(3))
    await asked
    assert behinds[2].works == []
    assert engines.width() == 2


async def test_others_than_one_piece_of_work_are_never_a_peers(listening: Listening, pool: EnginePool) -> None:
    behinds = [Answering(held=HELD), Answering(held=HELD)]
    _, peer = [await listening(behind, f"all-{place}") for place, behind in enumerate(behinds)]
    await reached(pool, [peer])
    await ask(pool, 20)
    await pool.load("echo")
    assert (len(behinds[0].works), behinds[0].commands) == (20, [("load", "echo")])
    assert (behinds[1].works, behinds[1].commands) == ([], [])


async def test_what_a_lost_peer_held_is_done_elsewhere(listening: Listening, pool: EnginePool) -> None:
    behinds = [Behind(held=HELD), Behind(held=HELD)]
    _, peer = [await listening(behind, f"all-{place}") for place, behind in enumerate(behinds)]
    await reached(pool, [peer])
    asked = asyncio.create_task(ask(of_one_kind(pool), 6))
    await eventually(lambda: len(behinds[1].works) == 3)
    await peer.close()
    await behinds[0].answer_all(6)
    await asked


async def test_a_peer_that_says_nothing_any_more_is_lost(
    listening: Listening, pool: EnginePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PEER_SILENCE_S", 0.2)
    behinds = [Behind(held=HELD), Behind(held=HELD)]
    _, peer = [await listening(behind, f"all-{place}") for place, behind in enumerate(behinds)]
    await reached(pool, [peer])
    asked = asyncio.create_task(ask(of_one_kind(pool), 2))
    await behinds[0].answer_all(2)  # its beats come once a second
    await asked


async def test_what_a_peer_cannot_do_is_done_here_and_not_asked_there_again(
    listening: Listening, pool: EnginePool
) -> None:
    own, peer = Answering(held=HELD), Refusing(ModelNotFound("There is no echo here."))
    peer.held = HELD
    await listening(own, "all-0")
    await reached(pool, [await listening(peer, "all-1")])
    engines = of_one_kind(pool)
    for _ in range(10):
        await ask(engines, 4)
    assert len(own.works) == 40
    assert 1 <= len(peer.works) <= 2  # at the same time


async def test_a_peer_that_has_to_load_the_model_has_one_piece_of_the_work_until_then(
    listening: Listening, pool: EnginePool
) -> None:
    own, peer = Behind(held=HELD), Behind()
    await listening(own, "all-0")
    listener = await listening(peer, "all-1")
    await reached(pool, [listener])
    engines = of_one_kind(pool)
    asked = asyncio.create_task(ask(engines, 6))
    await own.answer_all(5)
    assert len(peer.works) == 1
    peer.held = HELD
    listener.send_status()
    await peer.answer_all(1)
    await asked
    await eventually(lambda: pool._peers[0].models)
    asked = asyncio.create_task(ask(engines, 6))
    await asyncio.gather(own.answer_all(3), peer.answer_all(3))
    await asked


async def test_peers_that_are_not_named_any_more_are_let_go(listening: Listening, pool: EnginePool) -> None:
    await listening(Answering(), "all-0")
    peer = await listening(Answering(), "all-1")
    await reached(pool, [peer])
    pool.reach((), SECRET)
    await eventually(lambda: not pool._peers and not peer.connections)


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.7:8100", ("10.0.0.7", 8100)), ("[fd00::7]:1", ("fd00::7", 1)), ("e:65535", ("e", 65535))],
)
def test_addresses_are_read_as_they_are_written(text: str, address: tuple[str, int]) -> None:
    assert Address.read(text) == address
    assert str(Address.read(text)) == text


@pytest.mark.parametrize("text", ["", "10.0.0.7", ":8100", "host:", "host:0", "host:65536", "host:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        Address.read(text)


SHARED = {"database_url": "postgresql://here/name", "engines_address": "10.0.0.7:8100", "engines_secret": "s" * 32}


def test_each_engine_has_the_next_port() -> None:
    meeting = Meeting.of(read_settings(**SHARED))
    assert meeting is not None
    assert str(meeting.address_of(3)) == "10.0.0.7:8103"
    assert Meeting.of(Settings()) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"engines_secret": ""}, "SECRET needs 32"),
        ({"engines_secret": "short"}, "SECRET needs 32"),
        ({"engines_address": ""}, "ADDRESS: '' is no address"),
        ({"engines_address": "here"}, "write it as"),
        ({"database_url": ""}, "PostgreSQL that they share"),
        ({"database_url": "sqlite:///file"}, "PostgreSQL that they share"),
    ],
)
def test_what_would_let_in_anybody_or_serve_nobody_is_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Meeting.of(read_settings(**{**SHARED, **wrong}))


async def test_an_address_that_is_taken_is_said(listening: Listening) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await (await listening(Behind(), "all-0")).listen_to_peers(Address(*taken.getsockname()), SECRET)
