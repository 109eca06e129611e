"""What the connections of a front share: how many there may be, how long each may take, and who is told."""

import logging
from collections.abc import Sequence
from enum import Enum

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.api.access.callers import caller_at
from service.api.budgets import Budget
from service.api.connections.accepting import ROOM
from service.api.connections.intake import Intake
from service.api.connections.known import KnownHeads
from service.api.gate import Gate, new_request_id
from service.api.problems import problem_response
from service.errors import HeadersTooLarge, ServiceError

log = logging.getLogger(__name__)

HEADERS_LIMIT = 128
"""Lines of headers: each takes many times the memory of its bytes."""
STEP_BYTES = 16384
"""What has to come, or go, in the time that a body, or an answer, is given: a byte now and then is no progress."""
AHEAD_BYTES = 4096
"""So much is parsed at once where a request may begin: of many that come together no more than the first few."""
PIPELINED_BYTES = 4096
"""Memory of a request that was sent before the one ahead of it is answered."""
FAREWELL_S = 2.0
"""What a client still sends after its last answer is passed over for so long: closing at once could lose the answer."""
FAREWELLS = 256
"""Refused connections that are waited for so; further ones are closed at once."""
PROBE_S = 0.5
"""How often one is asked that has closed its side and waits for an answer, or is gone."""
SPARE_DESCRIPTORS = 128 + FAREWELLS + ROOM
"""File descriptors of a front beside those of its connections."""
REASONS = ("connections_full", "header_timeout", "body_timeout", "write_timeout", "malformed")


class Phase(Enum):
    """What a connection waits for."""

    HEAD = "the head of a request"
    BODY = "the body of the request that is being answered"
    ANSWER = "nothing of the client's: it is being answered"
    REST = "the rest of a body whose request has been answered already"
    IDLE = "the next request"
    FAREWELL = "the client to go: it has had its last answer"


class Connections:
    """All connections of a front: how many there may be, and how long each may take."""

    def __init__(self, gate: Gate, *, descriptors: int | None = None) -> None:
        settings = gate.settings
        limit = settings.connection_limit
        if descriptors is not None and descriptors - SPARE_DESCRIPTORS < limit:
            limit = max(1, descriptors - SPARE_DESCRIPTORS)
            log.warning("at most %d connections are held: the system gives %d descriptors", limit, descriptors)
        self.gate = gate
        self.open = Budget(limit, settings.client_share)
        self.memory = gate.memory
        self.intake = Intake()
        self.heads = KnownHeads()
        self.farewells = 0
        self.head_limit = settings.header_limit_bytes
        self.ahead_bytes = min(AHEAD_BYTES, self.head_limit)
        self.write_s = settings.write_timeout_s
        self.patience_s = {
            Phase.HEAD: settings.header_timeout_s,
            Phase.BODY: settings.body_timeout_s,
            Phase.REST: settings.body_timeout_s,
            Phase.IDLE: settings.keep_alive_s,
            Phase.FAREWELL: FAREWELL_S,
        }
        self.tick_s = min(self.write_s, *self.patience_s.values())
        """Whatever a connection waits for, its clock is looked at so soon."""
        self._proxies = gate.guard.proxies
        self._rejected = gate.instruments.rejected
        gate.instruments.begin_at_zero(self._rejected, *REASONS)

    def client_at(self, peer: tuple[str, int] | None) -> str:
        """Whom a connection belongs to; one of a proxy, which brings the requests of many, to nobody else."""
        if peer is None:
            return ""
        address, port = peer
        return f"{address} {port}" if self._proxies.trusts(address) else caller_at(address).name

    def piece_bytes(self, cycle: RequestResponseCycle | None, head_bytes: int) -> int:
        """How much is parsed at once: much of a body, little where another request may begin, no more of a head."""
        inside = cycle is not None and cycle.more_body
        return min(self.head_limit if inside else self.ahead_bytes, self.head_limit - head_bytes)

    def count(self, reason: str, text: str, *details: object) -> None:
        """Count what was refused or given up; the log gets a line now and then (`service.telemetry.logs`)."""
        self._rejected.labels(reason).inc()
        log.warning(text, *details)

    def head_too_large(self) -> HeadersTooLarge:
        """What answers a head of more than is read."""
        return HeadersTooLarge(
            f"The head of a request may have {self.head_limit:,} bytes and {HEADERS_LIMIT} lines of headers."
        )


def last_answer(error: ServiceError, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The answer after which a connection ends, as it goes over it."""
    response = problem_response(error)
    headers = [*default_headers, *response.raw_headers, (b"connection", b"close")]
    headers.append((b"x-request-id", new_request_id().encode()))
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"".join([STATUS_LINE[response.status_code], lines, b"\r\n", bytes(response.body)])
