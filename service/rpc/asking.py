"""A call as a request of the application in this process: with the same guard, limits, deadlines and log."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import Message

from service.api.gate import Application

log = logging.getLogger(__name__)

KEPT = frozenset({"authorization", "x-deadline-ms", "x-forwarded-for", "x-request-id"})
"""What of a call's metadata is heard as headers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """What is answered."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def headers_of(metadata: Any, remaining_s: float | None) -> dict[str, str]:
    """The headers that a call's metadata and its deadline make."""
    found = {name: value for name, value in metadata or () if name in KEPT and isinstance(value, str)}
    if remaining_s is not None:
        told = found.get("x-deadline-ms", "")
        own = min(max(remaining_s * 1000, 0.001), 1e8)
        found["x-deadline-ms"] = told if _is_less(told, own) else f"{own:.3f}"
    return found


def peer_of(peer: str) -> tuple[str, int] | None:
    """The address of `ipv4:192.0.2.7:4711` or `ipv6:%5B::1%5D:4711`; None of other transports."""
    kind, _, rest = unquote(peer).partition(":")
    address, _, port = rest.rpartition(":")
    return (address.strip("[]"), int(port)) if kind in ("ipv4", "ipv6") and port.isdigit() else None


async def ask(app: Application, asked: Asked, peer: str) -> Reply:
    """What the application answers. Cancelling this cancels the work."""
    reply, pieces = Reply(), [asked.body]
    never = asyncio.Event()

    async def receive() -> Message:
        if not pieces:
            await never.wait()  # whoever hangs up cancels all of this
        return {"type": "http.request", "body": pieces.pop(), "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        else:
            reply.body += message.get("body", b"")

    headers = {**asked.headers, **({"content-length": str(len(asked.body))} if asked.body else {})}
    try:
        await app(_scope(asked, headers, peer), receive, send)
    except Exception:  # which has been answered, without its words
        log.exception("a call failed")
    return reply


def _scope(asked: Asked, headers: dict[str, str], peer: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()],
        "client": peer_of(peer),
        "server": None,
    }


def _is_less(told: str, milliseconds: float) -> bool:
    """Whether somebody asked for less time than that, or for what is no time, which is refused elsewhere."""
    try:
        return float(told) < milliseconds
    except ValueError:
        return bool(told)
