"""A front under a cap on its address space: whatever is sent to it, its memory stays within its settings."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
from api.fronts import LIVE, POST, Caller
from processes.lone_front import LoneFront, lone_front
from waiting import PATIENCE_S, until

MEBIBYTE = 1 << 20
LIMIT_BYTES = 48 * MEBIBYTE
BESIDE_BYTES = 128 * MEBIBYTE
"""Stacks of threads, the pieces that are on their way, a body while it is put together: what has bounds of its own."""
BODY_BYTES = 16 * MEBIBYTE
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneFront]:
    folder = tmp_path_factory.mktemp("front")
    with lone_front(folder, MEMORY_LIMIT_BYTES=LIMIT_BYTES, CONNECTION_LIMIT=512, READERS=1) as running:
        assert_lives(running)
        running.cap(LIMIT_BYTES + BESIDE_BYTES)
        yield running


def assert_lives(front: LoneFront) -> None:
    with Caller(front.address, host="127.0.0.9") as other:
        assert other.say(LIVE).answer()[0].status == 200


def attack(front: LoneFront, count: int, say: Callable[[Caller], object]) -> None:
    """So many connections of three clients, each of which says all it can, while another client is answered."""
    callers = [Caller(front.address, host=HOSTS[number % 3], receive_buffer=4096) for number in range(count)]
    over = threading.Event()

    def speak(some: list[Caller]) -> None:
        for caller in some:
            caller.socket.settimeout(0.3)  # who is not read has said all it can
            with contextlib.suppress(OSError):
                say(caller)

    threads = [threading.Thread(target=speak, args=(callers[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert_lives(front)
        over.wait(0.01)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert_lives(front)
    for caller in callers:
        caller.socket.close()
    assert_lives(front)
    assert "Error" not in front.log, front.log


def json_of(body: bytes) -> bytes:
    head = b"POST /forecast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def form_of(parts: int, size: int) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n%s\r\n'
    return b"".join(part % (number, bytes(size)) for number in range(parts)) + b"--b--\r\n"


def in_chunks(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


ATTACKS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "stalled bodies": (12, lambda: POST + b"Content-Length: %d\r\n\r\n" % BODY_BYTES + bytes(BODY_BYTES - 1)),
    "endless chunks": (12, lambda: POST + b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(bytes(MEBIBYTE)) * 15),
    "objects": (6, lambda: json_of(b"[" + b"{}," * (5 * MEBIBYTE) + b"{}]")),
    "numbers": (6, lambda: json_of(b'{"history":[' + b"1.5," * (3 * MEBIBYTE) + b"1]}")),
    "texts": (6, lambda: json_of(b'["' + b'a","' * (3 * MEBIBYTE) + b'"]')),
    "brackets": (6, lambda: json_of(b"[" * (15 * MEBIBYTE))),
    "fields": (
        6,
        lambda: (
            b"POST /evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + in_chunks(form_of(1000, 60_000))
        ),
    ),
    "parts": (
        6,
        lambda: (
            POST.replace(b"image/png", b"multipart/form-data; boundary=b")
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + in_chunks(form_of(4000, 1))
        ),
    ),
    "heads": (400, lambda: b"GET /health/live HTTP/1.1\r\n" + b"a: b\r\n" * 120 + b"c: " + b"d" * 31_000),
    "lines": (400, lambda: b"GET /health/live HTTP/1.1\r\n" + b"a:\r\n" * 8000),
    "pipelines": (100, lambda: (POST + b"Content-Length: 9\r\n\r\n" + bytes(8)) + LIVE * 4000),
    "answers": (100, lambda: b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60),
}


UNANSWERED = ("heads", "pipelines", "answers")
"""What waits for no answer, and takes none."""


def test_what_large_bodies_took_is_given_back(front: LoneFront) -> None:
    before = front.kibibytes("VmRSS")
    with Caller(front.address) as stalled:
        stalled.say(POST + b"Content-Length: %d\r\n\r\n" % BODY_BYTES + bytes(BODY_BYTES - 1))
        until(lambda: front.kibibytes("VmRSS") > before + BODY_BYTES // 2048)
    until(lambda: front.kibibytes("VmRSS") < before + BODY_BYTES // 4096)


@pytest.mark.parametrize("kind", ATTACKS)
def test_the_memory_of_a_front_has_bounds_whatever_is_sent(front: LoneFront, kind: str) -> None:
    count, make = ATTACKS[kind]
    said = make()
    attack(front, count, lambda caller: caller.say(said) if kind in UNANSWERED else caller.say(said).everything())
