"""HTTP as it arrives: uvicorn's protocol over httptools, with limits on what a client may send, hold and leave waiting.

`HttpToolsProtocol` is no public interface: `tests/api/connections/test_protocol.py` names what this relies on, and
`pyproject.toml` the versions of uvicorn that have it.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.connections.cycles import abandon, begin, run
from service.api.connections.intake import Flow
from service.api.connections.limits import (
    FAREWELLS,
    HEADERS_LIMIT,
    PIPELINED_BYTES,
    PROBE_S,
    STEP_BYTES,
    Connections,
    Phase,
    last_answer,
)
from service.errors import (
    MalformedRequest,
    Overloaded,
    RequestTimeout,
    ServiceError,
    TooManyConnections,
)


class Connection(HttpToolsProtocol):
    """One connection. It has one timer, which is set anew only when it goes off or would go off too late."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._all = connections
        self._client = ""
        self._counted = False
        self._phase = Phase.HEAD
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._bore_body = False
        self._wishes_upgrade = False
        self._running: RequestResponseCycle | None = None
        self._unparsed = b""
        """What came behind a request that waits for its turn."""
        self._last_answer: bytes | None = None
        """The answer after which this connection ends, while earlier requests are being answered."""
        self._half_closed = False
        self._unsent = 0
        self._unsent_since: float | None = None
        self._held = 0
        self._held_unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or tell the client that there are too many."""
        super().connection_made(transport)
        self.flow: Flow = Flow(transport)
        self._client = self._all.client_at(self.client)
        self._since = self.loop.time()
        self._set_timer(self._since + self._all.tick_s)
        everyone = self._all.open
        self._counted = everyone.take(self._client)
        if not self._counted:
            self._all.count("connections_full", "%d connections are open; further ones are refused", everyone.taken)
            self._end_with(TooManyConnections(f"{everyone.taken} connections are open here."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of this connection, and give back what it held."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
        if self._counted:
            self._all.open.give_back(self._client)
        elif self._phase is Phase.FAREWELL:
            self._all.farewells -= 1
        if held := self._held + self._held_unsent:
            self._all.memory.give_back(self._client, held)
            self._held = self._held_unsent = 0
        self.pipeline.clear()
        self._unparsed = b""
        if self._running is not None:
            abandon(self._running)
        self.cycle = self._running = None  # type: ignore[assignment] # they know this one, too, and neither would go

    def data_received(self, data: bytes) -> None:
        """Have what has come parsed, one request ahead at most."""
        if self._phase is not Phase.FAREWELL and self._last_answer is None:
            if self._phase is Phase.BODY:
                self._body_bytes += len(data)
            if self.pipeline or len(data) + self._head_bytes > self._all.ahead_bytes:
                self._parse_in_pieces(data)
            else:
                self._parse(data)
            self._settle()
        self._all.intake.took(self.flow, len(data))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open as long as a whole request waits for its answer."""
        self._half_closed = True
        if self._phase is not Phase.ANSWER:
            return False
        self._since = self.loop.time()
        self._set_timer(self._since + PROBE_S)
        return True

    def pause_writing(self) -> None:
        """Have an answer that the client does not take count as memory, and its time run."""
        super().pause_writing()
        unsent = self.transport.get_write_buffer_size()
        if not self._all.memory.take(self._client, unsent):
            self._cut_off("write_timeout", "an answer was not taken, and there is no memory to keep it")
            return
        self._held_unsent += unsent
        self._unsent, self._unsent_since = unsent, self.loop.time()
        self._set_timer(self._unsent_since + self._all.write_s)

    def resume_writing(self) -> None:
        """Go on: the client has taken most of it."""
        super().resume_writing()
        self._unsent_since = None
        if self._held_unsent:
            self._all.memory.give_back(self._client, self._held_unsent)
            self._held_unsent = 0

    def _parse_in_pieces(self, data: bytes | memoryview) -> None:
        """Parse as much as belongs to one request ahead, and no more of a head than is read."""
        rest = memoryview(data)
        while rest and self._phase is not Phase.FAREWELL and self._last_answer is None:
            if self.pipeline:
                self._keep(rest)
                return
            piece = rest[: self._all.piece_bytes(self.cycle, self._head_bytes)]
            rest = rest[len(piece) :]
            self._parse(piece)

    def _keep(self, data: memoryview) -> None:
        """Keep what came behind a request that waits for its turn."""
        try:
            self._hold(len(data))
            self._unparsed += data
        except Overloaded as error:
            self._end_with(error)

    def _parse(self, data: bytes | memoryview) -> None:
        cycle = self.cycle
        after_body = cycle is not None and cycle.more_body
        self._bore_body = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ask_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(error.__context__ or error)
            return
        self._measure_head(len(data), cycle, after_body=after_body)

    def _measure_head(self, size: int, before: RequestResponseCycle | None, *, after_body: bool) -> None:
        """Refuse a head that is too long, and as much between the pieces of a body, where there can be only padding."""
        scope, cycle = self.scope, self.cycle
        self._in_head = scope is not None and "method" not in scope
        if self._in_head:
            if not after_body and cycle is before:
                self._head_bytes += size
        elif cycle is None or not cycle.more_body or self._bore_body:
            self._head_bytes = 0
        else:
            self._head_bytes += size
        if self._head_bytes >= self._all.head_limit:
            self._refuse(self._all.head_too_large())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one line. Raises HeadersTooLarge."""
        if len(self.headers) >= HEADERS_LIMIT:
            raise self._all.head_too_large()
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer a request. Raises Overloaded."""
        if self.parser.should_upgrade():
            self._wishes_upgrade = True
            return
        waits = self.cycle is not None and not self.cycle.response_complete
        if waits:
            self._hold(PIPELINED_BYTES)
        self.cycle = begin(self)
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._bore_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell the request that its body has come."""
        if self._wishes_upgrade:
            return  # the parser takes what follows for another protocol; it will be asked again
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def _ask_without_upgrade(self, rest: bytes | memoryview) -> None:
        """Have a request parsed again without its wish for another protocol, which nobody speaks here."""
        self._wishes_upgrade = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(MalformedRequest("This is no proxy."))
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self._parse(b"\r\n".join([*lines, b"\r\n"]))
        self._parse_in_pieces(rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        task = self.loop.create_task(run(cycle, app, self.pipeline))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Go on to the next request: one that has come, or one that comes."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._give_back(PIPELINED_BYTES)
            if not (cycle.more_body and self._last_answer is not None):
                self._start_asgi_task(cycle, app)
                if not self.pipeline:
                    data, self._unparsed = self._unparsed, b""
                    self._give_back(len(data))
                    self._parse_in_pieces(data)
                self._settle()
                return
        if self._last_answer is not None:
            self._say_last(self._last_answer)
        elif self._half_closed:
            self.transport.close()
        else:
            self._settle()

    def _settle(self) -> None:
        """Note what this connection waits for now."""
        if self._phase is Phase.FAREWELL:
            return
        running, cycle = self._running, self.cycle
        if running is not None and not running.response_complete:
            phase = Phase.BODY if running is cycle and cycle.more_body else Phase.ANSWER
        elif self._in_head:
            phase = Phase.HEAD
        elif cycle is None:
            return
        else:
            phase = Phase.REST if cycle.more_body else Phase.IDLE
        if phase is not self._phase:
            self._wait_for(phase)

    def _wait_for(self, phase: Phase) -> None:
        self._phase = phase
        if phase is not Phase.ANSWER:
            self._since = self.loop.time()
            self._body_bytes = 0
            self._set_timer(self._since + self._all.patience_s[phase])

    def _refuse(self, error: BaseException) -> None:
        """Answer what is no request, or is none that is read, after what was asked before it."""
        if not isinstance(error, ServiceError):
            self._all.count("malformed", "what came from %s is not HTTP", self._client)
            error = MalformedRequest("What was sent is not HTTP/1.1.")
        self._end_with(error)

    def _end_with(self, error: ServiceError) -> None:
        """Have the connection end with this answer."""
        answer = last_answer(error, self.server_state.default_headers)
        running = self._running
        if running is None or running.response_complete:
            self._say_last(answer)
        elif running is not self.cycle or not running.more_body:
            self._last_answer = answer
            self.flow.pause_reading()
        elif running.response_started:
            self.transport.abort()  # what has been said cannot be taken back
        else:
            abandon(running)
            self._say_last(answer)

    def _say_last(self, answer: bytes) -> None:
        transport = self.transport
        transport.write(answer)
        if self._half_closed or (not self._counted and self._all.farewells >= FAREWELLS):
            transport.close()
            return
        transport.write_eof()
        self.headers = []
        self.scope = None  # type: ignore[assignment]
        self.flow.resume_reading()
        self._all.farewells += not self._counted
        self._wait_for(Phase.FAREWELL)

    def _hold(self, size: int) -> None:
        if not self._all.memory.take(self._client, size):
            raise Overloaded("More has been sent ahead than there is memory for.")
        self._held += size

    def _give_back(self, size: int) -> None:
        if size:
            self._all.memory.give_back(self._client, size)
            self._held -= size

    def _set_timer(self, when: float) -> None:
        """Look at the clock then, or sooner if that is meant already."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """Act on what is overdue, and look again when the next thing may be."""
        self._timer = None
        now = self.loop.time()
        self._set_timer(min(now + self._all.tick_s, self._check_unsent(now), self._check_patience(now)))

    def _check_unsent(self, now: float) -> float:
        """Cut off a client that does not take what was sent to it; when to look again."""
        transport, limit_s = self.transport, self._all.write_s
        unsent = transport.get_write_buffer_size()
        awaited = self.flow.write_paused or transport.is_closing() or self._phase is Phase.FAREWELL
        if not (unsent and awaited):
            self._unsent_since = None
            return now + limit_s
        if self._unsent_since is None or self._unsent - unsent >= STEP_BYTES:
            self._unsent, self._unsent_since = unsent, now
        elif now >= self._unsent_since + limit_s:
            self._cut_off("write_timeout", "an answer was not taken in %g s", limit_s)
        return self._unsent_since + limit_s

    def _check_patience(self, now: float) -> float:
        """Give up what has not come in its time; when to look again."""
        phase = self._phase
        if self.transport.is_closing():
            return now + self._all.tick_s
        if phase is Phase.ANSWER:
            return self._probe(now) if self._half_closed else now + self._all.tick_s
        due = self._since + self._all.patience_s[phase]
        if now < due:
            return due
        if phase is Phase.BODY and self._is_excused():
            self._since, self._body_bytes = now, 0
            return now + self._all.patience_s[phase]
        self._give_up(phase)
        return now + self._all.tick_s

    def _is_excused(self) -> bool:
        """Whether enough of a body came, or it is not its client that is waited for."""
        return self._body_bytes >= STEP_BYTES or self.flow.read_paused or self.cycle.waiting_for_100_continue

    def _give_up(self, phase: Phase) -> None:
        limit_s = self._all.patience_s[phase]
        if phase is Phase.BODY:
            self._all.count("body_timeout", "a body stopped coming for %g s", limit_s)
            self._end_with(RequestTimeout(f"For {limit_s:g} s too little of the body came."))
        elif phase is Phase.HEAD and self._in_head:
            self._all.count("header_timeout", "the head of a request did not come in %g s", limit_s)
            self._end_with(RequestTimeout(f"The head of the request did not come within {limit_s:g} s."))
        elif phase is Phase.FAREWELL:
            self.transport.abort()
        else:
            self.transport.close()  # nothing was asked, or all of it is answered

    def _probe(self, now: float) -> float:
        """Find out whether a client that closed its side waits or is gone: the system of one that is gone protests.

        What is sent is nothing to one that waits: an interim answer, which every client of HTTP/1.1 passes over.
        """
        running = self._running
        assert running is not None, "it is being answered"
        if now - self._since >= PROBE_S and not running.response_started and running.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return now + max(PROBE_S, now - self._since)

    def _cut_off(self, reason: str, text: str, *details: object) -> None:
        self._all.count(reason, text, *details)
        self.transport.abort()
