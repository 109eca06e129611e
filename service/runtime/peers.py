"""Engines of other machines: where they are reached, and how both ends prove that they know one secret.

Before all messages, over TCP:

    engine: magic 8 bytes · a number drawn for this 32
    caller: a number of its own 32 · proof 32
    engine: proof 32

A proof is the HMAC-SHA256, by the secret, of who proves and both numbers. The engine says nothing more to who cannot
prove it, and the caller asks nothing of such an engine. What follows is not encrypted.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
import socket
import time
from collections.abc import Callable
from typing import NamedTuple, Self

from service.errors import ConfigurationError
from service.settings import Settings

log = logging.getLogger(__name__)

MAGIC = b"chapter2"
NUMBER_BYTES = 32
SECRET_LENGTH = 32
"""The fewest characters of a secret."""
PROOF_S = 5.0
"""For how long the other end may keep one waiting before all messages."""
MOST_STRANGERS = 64
"""Callers that are heard at a time before they have proved anything; further ones are hung up on."""
BREATH_S = 0.5
"""Pause before the next caller where there are no descriptors left."""
SAY_EVERY_S = 60.0
"""Who is not let in fills no log."""
GONE_S = 30
"""After which a connection ends whose other end does not take what is sent, as a machine does that lost its power."""


class Refused(OSError):
    """The other end does not know the secret, or is none of ours."""


class Address(NamedTuple):
    """Where one engine is reached."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self:
        """The address that is written as `host:port`. Raises ValueError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
            raise ValueError(f"{text!r} is no address: write it as 10.0.0.7:8100")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Meeting(NamedTuple):
    """What this service tells and knows, where its engines are there for others of the same database."""

    first: Address
    """Of the engine number 0; each other one has the next port."""
    secret: bytes

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As set; None where nothing is. Raises ConfigurationError for what would let in anybody, or serve nobody."""
        text, secret = settings.engines_address, settings.engines_secret.get_secret_value().encode()
        if not text and not secret:
            return None
        if len(secret) < SECRET_LENGTH:
            raise ConfigurationError(f"CHAPTERHOUSE_ENGINES_SECRET needs {SECRET_LENGTH} characters at least.")
        if not settings.database_url.startswith("postgres"):
            raise ConfigurationError(
                "CHAPTERHOUSE_ENGINES_ADDRESS: services find each other's engines in the PostgreSQL that they share; "
                "set CHAPTERHOUSE_DATABASE_URL."
            )
        try:
            return cls(Address.read(text), secret)
        except ValueError as error:
            raise ConfigurationError(f"CHAPTERHOUSE_ENGINES_ADDRESS: {error}.") from error

    def address_of(self, number: int) -> Address:
        """Where an engine of this service is reached."""
        return self.first._replace(port=self.first.port + number)


class Door:
    """A port where callers get a connection of this protocol once they have proved that they know the secret."""

    def __init__(self, address: Address, secret: bytes, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._address = address
        self._secret = secret
        self._protocol = protocol
        self._listening: socket.socket | None = None
        self._strangers: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._said = -SAY_EVERY_S

    async def open(self) -> None:
        """Begin to listen. Raises OSError where the address is taken, or none of this machine's."""
        family, *_, place = (await _found(self._address))[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(MOST_STRANGERS)
            listening.setblocking(False)  # noqa: FBT003 - its only argument
        except OSError:
            listening.close()
            raise
        self._listening = listening
        self._keeper = asyncio.create_task(self._answer(listening))

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._listening is not None
        return int(self._listening.getsockname()[1])

    async def close(self) -> None:
        """Let in nobody more; who is in stays so."""
        tasks = [*self._strangers, *([] if self._keeper is None else [self._keeper])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.close()

    async def _answer(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                caller, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._say("no other service is let in now: %s", error)
                await asyncio.sleep(BREATH_S)
                continue
            if len(self._strangers) >= MOST_STRANGERS:
                caller.close()
                continue
            task = asyncio.create_task(self._let_in(caller))
            self._strangers.add(task)
            task.add_done_callback(self._strangers.discard)

    async def _let_in(self, caller: socket.socket) -> None:
        caller.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            async with asyncio.timeout(PROOF_S):
                await _ask_for_proof(caller, self._secret)
            notice_loss(caller)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, caller)
        except OSError as error:  # also what took too long
            caller.close()
            if isinstance(error, Refused):
                self._say("a caller of the engine was not let in: %s", error)
        except BaseException:
            caller.close()
            raise

    def _say(self, words: str, error: OSError) -> None:
        if (now := time.monotonic()) - self._said >= SAY_EVERY_S:
            self._said = now
            log.warning(words, error)


async def introduced(address: Address, secret: bytes) -> socket.socket:
    """A connection to an engine that knows the secret. Raises OSError; Refused where it does not."""
    async with asyncio.timeout(PROOF_S):
        family, *_, place = (await _found(address))[0]
        engine = socket.socket(family, socket.SOCK_STREAM)
        engine.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            await asyncio.get_running_loop().sock_connect(engine, place)
            await _prove(engine, secret)
            notice_loss(engine)
        except BaseException:
            engine.close()
            raise
        return engine


async def _ask_for_proof(caller: socket.socket, secret: bytes) -> None:
    """The engine's side. Raises OSError, Refused."""
    loop = asyncio.get_running_loop()
    drawn = secrets.token_bytes(NUMBER_BYTES)
    await loop.sock_sendall(caller, MAGIC + drawn)
    said = await _exactly(caller, 2 * NUMBER_BYTES)
    theirs, proof = said[:NUMBER_BYTES], said[NUMBER_BYTES:]
    if not hmac.compare_digest(proof, _proof(secret, b"caller", drawn, theirs)):
        raise Refused("it does not know the secret")
    await loop.sock_sendall(caller, _proof(secret, b"engine", drawn, theirs))


async def _prove(engine: socket.socket, secret: bytes) -> None:
    """The caller's side. Raises OSError, Refused."""
    loop = asyncio.get_running_loop()
    said = await _exactly(engine, len(MAGIC) + NUMBER_BYTES)
    if not said.startswith(MAGIC):
        raise Refused("no engine of ours listens there")
    theirs, drawn = said[len(MAGIC) :], secrets.token_bytes(NUMBER_BYTES)
    await loop.sock_sendall(engine, drawn + _proof(secret, b"caller", theirs, drawn))
    if not hmac.compare_digest(await _exactly(engine, NUMBER_BYTES), _proof(secret, b"engine", theirs, drawn)):
        raise Refused("what listens there does not know the secret")


def _proof(secret: bytes, who: bytes, of_engine: bytes, of_caller: bytes) -> bytes:
    return hmac.digest(secret, who + of_engine + of_caller, "sha256")


async def _exactly(connected: socket.socket, count: int) -> bytes:
    """So many bytes, and nothing of what comes behind them. Raises OSError."""
    loop, said = asyncio.get_running_loop(), b""
    while len(said) < count:
        piece = await loop.sock_recv(connected, count - len(said))
        if not piece:
            raise ConnectionResetError("the other end has hung up")
        said += piece
    return said


async def _found(address: Address) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    """Where a name leads. Raises OSError."""
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def notice_loss(connected: socket.socket) -> None:
    """Have the system end a connection whose other end is there no more."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(AttributeError, OSError):  # elsewhere than on Linux
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)
