"""One question to a service and its answer, asked again where the service says so and nothing can be done twice."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import httpx

from service.client.problems import error_of
from service.client.sending import Sender
from service.errors import ServiceUnreachable

LONGEST_PAUSE_S = 60
"""A service that wants to be asked again later than this is not waited for."""
REFUSALS = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""What a service answers before it does anything."""


class Exchange:
    """Asks one service. Raises the service's own errors, and ServiceUnreachable where nobody answers."""

    def __init__(self, sender: Sender, *, retries: int) -> None:
        self.sender = sender
        self._retries = retries

    async def ask(self, method: str, path: str, *, again: bool = True, **parts: Any) -> httpx.Response:
        """The whole answer to a request of these parts; `again` lets it be repeated when it was refused."""
        async with self.answer(method, path, again=again, **parts) as reply:
            await self.sender.read(reply)
        return reply

    @asynccontextmanager
    async def answer(
        self, method: str, path: str, *, again: bool = True, **parts: Any
    ) -> AsyncIterator[httpx.Response]:
        """An answer that has begun, to be taken in as it comes."""
        request = self.sender.request(method, path, **parts)
        with self._telling_what_broke():
            reply = await self._accepted(request, tries=1 + self._retries * (again and _can_be_sent_again(parts)))
            try:
                yield reply
            finally:
                await self.sender.release(reply)

    async def _accepted(self, request: httpx.Request, *, tries: int) -> httpx.Response:
        """The answer as far as its headers, where it is none that refuses."""
        for left in reversed(range(tries)):
            reply = await self.sender.send(request)
            if reply.is_success:
                return reply
            await self.sender.read(reply)
            error = error_of(reply)
            pause_s = error.retry_after_s
            if not left or reply.status_code not in REFUSALS or pause_s is None or pause_s > LONGEST_PAUSE_S:
                raise error
            await self.sender.pause(pause_s)
        raise AssertionError("the last try has an end")

    @contextmanager
    def _telling_what_broke(self) -> Iterator[None]:
        address = self.sender.address
        try:
            yield
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            raise ServiceUnreachable(f"{address} cannot be reached: {error}.") from error
        except httpx.TimeoutException as error:
            raise ServiceUnreachable(f"{address} does not answer.") from error
        except httpx.RequestError as error:
            raise ServiceUnreachable(f"{address} broke off: {error}.") from error


def _can_be_sent_again(parts: dict[str, Any]) -> bool:
    """Whether every file of a form can be read from its beginning once more."""
    files = parts.get("files") or {}
    contents = [part[1] for _, part in (files.items() if isinstance(files, dict) else files)]
    return all(isinstance(content, bytes) or content.seekable() for content in contents)
