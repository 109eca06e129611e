"""The shortest way of a request: it is answered where its bytes arrive, without a task, a queue or messages of ASGI.

Only what is plain goes this way (`DirectConnection._is_plain`), and by the same steps as everything else: whatever
asks for more, takes longer or may not be answered is handed on to the application as if nothing had happened.
"""

import asyncio
from functools import partial
from typing import cast

from fastapi import Response
from starlette.types import Scope

from service.api.connections.cycles import TARGET_BYTES, Cycle, begin, head_of, target_of
from service.api.connections.protocol import Connection
from service.api.gate import GONE, DirectPath, Gate, Question, Visit, answer_to, nothing_more
from service.api.noting import MODEL
from service.api.outgoing import Reply
from service.api.presence import PRESENCE
from service.api.singles import check_head
from service.errors import ServiceError
from service.runtime.calls import Array, Withdraw

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

    def __init__(self, connection: "DirectConnection", path: DirectPath) -> None:  # uvicorn's has no use here
        self.scope = connection.scope
        self.scope["extensions"] = {PRESENCE: self}  # type: ignore[dict-item] # it is no dict
        self.transport = connection.transport
        self.keep_alive = True
        self.more_body = True
        self.sent = b""
        """What has come of its body."""
        self.disconnected = self.response_started = self.response_complete = self.waiting_for_100_continue = False
        self.message_event = UNHEARD
        self.on_response = connection.on_response_complete
        self._asked = cast("Scope", connection.scope)
        self._connection = connection
        self._path = path
        self._withdraw: Withdraw | None = None
        self._is_over = False

    def may_begin(self, gate: Gate) -> bool:
        """Whether this may be answered at all, by all that is known before its body is read."""
        headers = self._headers = dict(self._connection.headers)
        visit = self._visit = Visit(gate, self._asked, headers)
        if gate.draining or gate.is_full:
            return False
        try:
            check_head(self._asked, headers)
            if not gate.guard.admit_at_once("POST", visit.place, self._asked, headers):
                return False
        except ServiceError:
            return False
        self._holding = visit.holding = gate.admit("POST", self._asked, nothing_more, headers)
        self._asked["state"]["holding"] = self._holding
        self._holding.__enter__()
        return True

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body, where there is memory for it."""
        try:
            self._holding.bring(len(piece))
        except ServiceError as error:
            self._say(answer_to(error, self._asked))
        else:
            self.sent += piece

    def hear(self) -> bool:
        """Ask what the request asks, which is whole now; False where that takes longer, and nothing has been done."""
        try:
            self._holding.arrive()
            question = self._path.ask(self._headers, self._asked["query_string"], self.sent)
            if question is not None:
                self._asked["state"][MODEL] = question.model
                answer, request_id = partial(self._answer, question), self._visit.request_id
                self._withdraw = self._path.engines.post(question.call, [question.rows], answer, request_id=request_id)
        except Exception as error:  # noqa: BLE001 - the log tells of it
            self._say(answer_to(error, self._asked))
            return True
        if question is None or self._withdraw is None:
            self._holding.__exit__()
            return False
        return True

    def end(self) -> None:
        """Drop it: its client has hung up."""
        if self._withdraw is not None:
            self._withdraw()
        self._visit.answer.status = GONE
        self._be_over()

    def _answer(self, question: Question, outcome: list[Array] | BaseException) -> None:
        """Say what came of the question."""
        self._say(_reply_to(question, outcome, self._asked))

    def _say(self, reply: Response | Reply) -> None:
        if self._is_over:
            return
        headers = self._visit.answer.whole(reply)
        self._be_over()
        closing = () if self.keep_alive else ((b"connection", b"close"),)
        head = head_of(reply.status_code, self._connection.server_state.default_headers, headers, closing)
        self.transport.write(head + reply.body)
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _be_over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.sent = b""
            self._withdraw = None  # it knows this one, and so does the scope: without a collection neither would go
            del self._asked["extensions"]
            self._holding.__exit__()
            self._visit.end(self._visit.place.path)


def _reply_to(question: Question, outcome: list[Array] | BaseException, scope: Scope) -> Response | Reply:
    if isinstance(outcome, BaseException):
        return answer_to(outcome, scope)
    try:
        return question.reply(outcome)
    except Exception as error:  # noqa: BLE001 - the log tells of it
        return answer_to(error, scope)


class DirectConnection(Connection):
    """A connection whose plain requests are answered directly; of many that come at once one, for others have turns."""

    _had_one = False
    """Whether one of those that came together has been begun."""

    def data_received(self, data: bytes) -> None:
        """Have what has come parsed, one request ahead at most."""
        self._had_one = False
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin to answer a request. Raises Overloaded."""
        path = None if self._had_one else self._direct_path()
        if path is not None:
            cycle = DirectCycle(self, path)
            if cycle.may_begin(self._all.gate):
                self.cycle = self._running = cycle
                self._had_one = True
                return
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

    def _hand_on(self, body: bytes) -> None:
        """Have the application answer a request that has come whole."""
        cycle = self.cycle = begin(self)
        cycle.body += body
        cycle.more_body = False
        cycle.message_event.set()
        self._start_asgi_task(cycle, self.app)

    def _direct_path(self) -> DirectPath | None:
        """How the request whose head has come is answered directly; None where it is not."""
        paths, url, scope, parser = self._all.gate.direct_paths, self.url, self.scope, self.parser
        if not paths or len(url) > TARGET_BYTES or parser.get_method() != b"POST":
            return None
        path, raw_path, query, host = target_of(url)
        found = paths.get(path)
        if found is None or host or not self._is_plain():
            return None
        scope["method"], scope["path"], scope["raw_path"], scope["query_string"] = "POST", path, raw_path, query
        return found

    def _is_plain(self) -> bool:
        """Whether a request has nothing about it that the application should see to."""
        cycle, parser, headers = self.cycle, self.parser, dict(self.headers)
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
