"""The shortest way of a request: it is answered where its bytes arrive, without a task, a queue or messages of ASGI.

Only what is plain goes this way (`DirectConnection._is_plain`), and by the same steps as everything else: whatever
asks for more, takes longer or may not be answered is handed on to the application as if nothing had happened.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from fastapi import Response

from service.api.access.callers import caller_of, peer_of
from service.api.connections.cycles import TARGET_BYTES, Cycle, begin, opening_of, target_of
from service.api.connections.known import Head
from service.api.connections.limits import Phase
from service.api.connections.protocol import Connection
from service.api.gate import GONE, Gate, Holding, Visit, answer_to, nothing_more
from service.api.noting import MODEL
from service.api.outgoing import Reply
from service.api.presence import PRESENCE
from service.api.singles import check_head
from service.errors import ServiceError

if TYPE_CHECKING:
    from starlette.types import Scope

    from service.api.access.proxies import Place
    from service.runtime.calls import Withdraw

PLAIN = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"prefer",
        b"user-agent",
        b"x-request-id",
    }
)
"""Headers of which one each may stand in a request that is answered so."""
MOST_DIGITS = 4
"""Of the length of its body, which has less than ten thousand bytes: what is read and worked on at once."""

UNHEARD = asyncio.Event()
"""Nobody waits for what comes of such a request."""


class DirectCycle(Cycle):
    """One such request and its answer, as far as a connection wants to know of it; it is its client's presence, too."""

    keep_alive = more_body = True
    sent = b""
    """What has come of its body."""
    disconnected = response_started = response_complete = waiting_for_100_continue = is_over = False
    message_event = UNHEARD
    withdraw: "Withdraw | None" = None

    def __init__(self, connection: "DirectConnection", head: Head) -> None:  # uvicorn's has no use here
        self.scope = connection.scope
        self.scope["extensions"] = {PRESENCE: self}  # type: ignore[dict-item] # it is no dict
        self.transport = connection.transport
        self.on_response = connection.on_response_complete
        self._asked = cast("Scope", connection.scope)
        self._connection = connection
        self.head = head

    @property
    def request_id(self) -> str:
        """What the request is called."""
        return self._visit.request_id

    def may_begin(self, gate: Gate) -> bool:
        """Whether this may be answered at all, by all that is known before its body is read."""
        peer = peer_of(self._asked)
        passage = self.head.passages.get(peer)
        visit = self._visit = Visit(gate, self._asked, self.head.headers, passage)
        if gate.draining or gate.is_full:
            return False
        try:
            if not self._is_let_in(gate, visit.place, is_known=passage is not None):
                return False
        except ServiceError:
            return False
        if passage is None and not visit.place.prefix:  # with one, each scope has to be told of it
            self.head.remember(peer, visit.passage)
        # A plain head has a length, and no coding.
        self._holding = visit.holding = Holding(gate, caller_of(self._asked).name, nothing_more, arriving=True)
        self._asked["state"]["holding"] = self._holding
        self._holding.__enter__()
        return True

    def _is_let_in(self, gate: Gate, place: "Place", *, is_known: bool) -> bool:
        scope, headers = self._asked, self.head.headers
        if is_known:
            return gate.guard.admit_again("POST", place, scope, headers)
        check_head(scope, headers)
        return gate.guard.admit_at_once("POST", place, scope, headers)

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body, where there is memory for it."""
        try:
            self._holding.bring(len(piece))
        except ServiceError as error:
            self.answer(error)
        else:
            self.sent += piece

    def hear(self) -> bool:
        """Ask what the request asks, which is whole now; False where that takes longer, and nothing has been done."""
        head = self.head
        try:
            self._holding.arrive()
            sent = head.direct.ask(head.headers, head.query, self.sent)
        except Exception as error:  # noqa: BLE001 - the log tells of it
            self.answer(error)
            return True
        if sent is None:
            self._holding.__exit__()
            return False
        self._asked["state"][MODEL] = sent.kind.model_name
        head.direct.together.ask(sent, self)
        return True

    def end(self) -> None:
        """Drop it: its client has hung up."""
        if self.withdraw is not None:
            self.withdraw()
        self._visit.answer.status = GONE
        self._be_over()

    def answer(self, outcome: Reply | BaseException) -> None:
        """Answer it, unless it is over."""
        self._say(answer_to(outcome, self._asked) if isinstance(outcome, BaseException) else outcome)

    def _say(self, reply: Response | Reply) -> None:
        if self.is_over:
            return
        opening = opening_of(reply.status_code, tuple(self._connection.server_state.default_headers))
        lines, end = self._visit.answer.written(reply), b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self._be_over()
        self.transport.write(b"".join((opening, lines, end, reply.body)))
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _be_over(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.sent = b""
            self.withdraw = None  # it knows this one, and so does the scope: without a collection neither would go
            del self._asked["extensions"]
            self._holding.__exit__()
            self._visit.end(self._visit.place.path)


class DirectConnection(Connection):
    """A connection whose plain requests are answered directly; of many that come at once one, for others have turns."""

    _had_one = False
    """Whether one of those that came together has been begun."""

    def data_received(self, data: bytes) -> None:
        """Answer what came whole and with a head that is known; have everything else parsed."""
        self._had_one = False
        heads, cycle = self._all.heads, self.cycle
        rests = self._phase is Phase.IDLE
        if rests and not self.flow.write_paused:
            known = heads.find(data)
            if known is not None and self._ask_whole(*known):
                return
        super().data_received(data)
        asked = self.cycle
        if rests and asked is not cycle and isinstance(asked, DirectCycle):
            heads.remember(data, asked.head)

    def on_headers_complete(self) -> None:
        """Begin to answer a request. Raises Overloaded."""
        head = None if self._had_one else self._plain_head()
        if head is None or self._begin(head) is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        cycle = self.cycle
        if not isinstance(cycle, DirectCycle):
            super().on_body(body)
            return
        self._bore_body = True
        if not cycle.response_complete:
            cycle.take(body)

    def on_message_complete(self) -> None:
        """Answer what is answered directly; tell others that their body has come."""
        cycle = self.cycle
        if not isinstance(cycle, DirectCycle):
            super().on_message_complete()
            return
        cycle.more_body = False
        if not cycle.response_complete and not cycle.hear():
            self._hand_on(cycle.sent)

    def _begin(self, head: Head) -> DirectCycle | None:
        """A request whose head has come, let in; None where that is for the application to do, or to refuse."""
        head.tell(cast("Scope", self.scope))
        cycle = DirectCycle(self, head)
        if not cycle.may_begin(self._all.gate):
            return None
        self.cycle = self._running = cycle
        self._had_one = True
        self._phase = Phase.ANSWER  # what is answered at once is answered, too
        return cycle

    def _ask_whole(self, head: Head, body: bytes) -> bool:
        """Answer a request that came whole; False where it takes longer, and nothing has been done."""
        before = self.cycle
        self.on_message_begin()
        self.headers = head.lines
        cycle = self._begin(head)
        if cycle is None:
            return False
        cycle.more_body = False
        cycle.take(body)
        if cycle.response_complete or cycle.hear():
            return True
        self.cycle = self._running = before
        self._phase = Phase.IDLE
        return False

    def _hand_on(self, body: bytes) -> None:
        """Have the application answer a request that has come whole."""
        cycle = self.cycle = begin(self)
        cycle.body += body
        cycle.more_body = False
        cycle.message_event.set()
        self._start_asgi_task(cycle, self.app)

    def _plain_head(self) -> Head | None:
        """The head that has come, of a request that is answered directly; None for any other one."""
        paths, url = self._all.gate.direct_paths, self.url
        if not paths or len(url) > TARGET_BYTES or self.parser.get_method() != b"POST":
            return None
        path, raw_path, query, host = target_of(url)
        direct, headers = paths.get(path), dict(self.headers)
        if direct is None or host or not self._is_plain(headers):
            return None
        return Head(direct, path, raw_path, query, self.headers, headers, int(headers[b"content-length"]), {})

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request has nothing about it that the application should see to."""
        cycle, parser = self.cycle, self.parser
        return (
            (cycle is None or cycle.response_complete)
            and len(headers) == len(self.headers)
            and headers.keys() <= PLAIN
            and self._is_short(headers.get(b"content-length", b""))
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.flow.write_paused
        )

    def _is_short(self, length: bytes) -> bool:
        """Whether a body has a length, of no more than is read at once."""
        return (
            length.isdigit() and len(length) <= MOST_DIGITS and int(length) <= self._all.gate.settings.body_limit_bytes
        )
