"""Whatever is sent, and in whatever pieces: what is answered where it arrives is what the application would answer.

Bodies are whole: whether a request that is refused before its body is answered, or nobody any more who hangs up in the
middle of it, may depend on the moment.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from api.fronts import PICTURE, Front, serving
from doubles import FakeEngine, echoed, split
from hypothesis import given
from hypothesis import strategies as st

from service.api.gate import Application

MakeApp = Callable[..., Application]
VARIES = re.compile(rb"(date|x-request-id): [^\r]*\r\n|HTTP/1.1 100 Continue\r\n\r\n")

TARGETS = st.sampled_from(
    [
        *[b"/classify"] * 4,
        b"/classify?model=echo",
        b"/classify?model=echo&top_k=1",
        b"/classify?top_k=0",
        b"/classify?top_k=1&top_k=2",
        b"/classify?as_is=maybe",
        b"/classify?what=1",
        b"/classify?model=%C3%A9",
        b"/classify?model=\xc3\xa9",
        b"/classify?",
        b"/classify#there",
        b"/classify/",
        b"/%63lassify",
        b"//classify",
        b"/classify%00",
        b"http://localhost/classify",
        b"http://elsewhere.example/classify",
        b"*",
        b"/generate",
    ]
)
SHORTER = b"Content-Length: 3"
"""Beside another length no request; alone it would have the rest of the body be another one."""
LAST = re.compile(rb"HTTP/1\.0|(?i:connection: close)")
"""What ends a connection: whatever is still sent then may cost a client the answer."""
LINES = st.lists(
    st.sampled_from(
        [
            b"Accept: */*",
            b"Accept: application/json;q=0.5, text/html",
            b"Accept: text/html",
            b"ACCEPT-ENCODING: gzip",
            b"Accept-Language: zh",
            b"User-Agent: one/1",
            b"X-Request-Id: mine",
            b"X-Request-Id:",
            b"Prefer: wait=1",
            b"Authorization: Bearer this-machine",
            b"Authorization: Bearer nobody",
            b"authorization: bearer",
            b"Authorization: Basic YTpi",
            b"Connection: keep-alive",
            b"Connection: close",
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA",
            b"Connection: upgrade",
            b"Expect: 100-continue",
            b"Expect: more",
            b"Origin: http://localhost",
            b"Origin: http://elsewhere.example",
            b"Sec-Fetch-Site: cross-site",
            b"Content-Encoding: gzip",
            b"Content-Encoding: identity",
            b"X-Deadline-Ms: soon",
            b"X-Forwarded-For: 192.0.2.1",
            b"Cookie: a=b",
            SHORTER,
            b"Content-Type: image/png",
            b"Host: localhost",
            b"X-Odd: \xfc",
            b" folded",
            b"No-Colon",
            b"Space : a",
        ]
    ),
    max_size=4,
)
HOSTS = st.sampled_from([*[b"Host: localhost"] * 5, b"Host: LOCALHOST:8000", b"Host: evil.example", b"Host: a b", b""])
TYPES = st.sampled_from([*[b"image/png"] * 4, b"IMAGE/PNG; a=b", b"application/json", b"text/plain", b""])
BODIES = st.sampled_from([*[PICTURE] * 3, PICTURE[:-9], b"", b"{}", bytes(9999), bytes(10_000), PICTURE + b"rest"])
LENGTHS = st.sampled_from([*[b"%d"] * 5, b"0%d", b"+%d", b"%d, %d", b"-%d", b"chunked", b"none"])


class Said(bytes):
    """What is sent, shown without all of a long body."""

    def __repr__(self) -> str:
        return f"{self[:400]!r} ({len(self)} bytes)"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request as it goes over a connection, plain or not."""
    method = draw(st.sampled_from([*[b"POST"] * 5, b"GET", b"HEAD", b"OPTIONS", b"post"]))
    version = draw(st.sampled_from([*[b"1.1"] * 5, b"1.0"]))
    body, length = draw(BODIES), draw(LENGTHS)
    lines = [draw(HOSTS), *(line for line in draw(LINES) if length != b"none" or line != SHORTER)]
    if kind := draw(TYPES):
        lines.append(b"Content-Type: " + kind)
    if length == b"chunked":
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x;a=b\r\n%s\r\n" % (len(body), body) if body else b""
        body += draw(st.sampled_from([b"0\r\n\r\n", b"0\r\nX-Trailer: a\r\n\r\n"]))
    elif length != b"none":
        lines.append(b"Content-Length: " + length.replace(b"%d", str(len(body)).encode()))
    order = draw(st.permutations([line for line in lines if line]))
    head = b"\r\n".join([method + b" " + draw(TARGETS) + b" HTTP/" + version, *order, b"", b""])
    return Said(head + body)


@contextmanager
def knowing(app: Application) -> Iterator[Front]:
    """A front that knows its keys already: whoever asks it first waits for them."""
    asyncio.run(app.gate.guard.keyring.read_again())
    with serving(app) as front:
        yield front


def test_nobody_can_tell_which_way_a_request_has_taken(make_app: MakeApp) -> None:
    directly, by_messages = (make_app(FakeEngine([echoed(1)])) for _ in range(2))
    by_messages.gate.direct_paths.clear()
    with knowing(directly) as one, knowing(by_messages) as other:

        @given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(1, 400), max_size=3))
        def hold(asked: list[bytes], sizes: list[int]) -> None:
            whole = b"".join(until_the_last(asked))
            pieces = [whole] if LAST.search(whole) else split([whole], [*sizes, 1 << 20])
            assert everything_said(one, pieces) == everything_said(other, pieces)

        hold()


def until_the_last(asked: Sequence[bytes]) -> Iterator[bytes]:
    for request in asked:
        yield request
        if LAST.search(request):
            return


def everything_said(front: Front, pieces: Sequence[bytes]) -> bytes:
    with front.caller() as caller:
        with suppress(OSError):  # once it was told that this was the last answer
            for piece in pieces:
                caller.say(piece)
            caller.end()
        said = caller.everything()
    front.wait_for_end()
    return VARIES.sub(b"", said)
