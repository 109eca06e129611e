"""One request and its answer, as uvicorn keeps them: given up, or answered to HTTP/1.0, which knows no chunks."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def abandon(cycle: RequestResponseCycle) -> None:
    """Tell a request that its client is gone."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def unchunked(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """The application, for one request of HTTP/1.0: an answer of unknown length ends with the connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.start":
                if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                    cycle.chunked_encoding = False
            elif cycle.chunked_encoding is False and not cycle.expected_content_length:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return answer
