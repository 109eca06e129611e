"""`HEAD` wherever there is a `GET`: for load balancers and scripts that want the headers alone (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Answers `HEAD` as `GET`, with the same headers and no body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})  # at once: a stream would go on for long

        asked = {**scope, "method": "GET"}
        await self._app(asked, receive, send_head)
        if "route" in asked:
            scope["route"] = asked["route"]
