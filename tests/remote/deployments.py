"""A deployment of a cluster as its handle shows it, with replicas in this process that can die."""

import asyncio
from collections.abc import Awaitable, Generator
from dataclasses import dataclass, field
from typing import Any


class Died(Exception):
    """A replica was killed."""


class Full(Exception):
    """No replica takes any more."""


class Response:
    """A call under way."""

    def __init__(self, work: Awaitable[Any]) -> None:
        self._task = asyncio.ensure_future(work)
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(self._task).__await__()

    def cancel(self) -> None:
        """Cancel it at the other end."""
        self.cancelled = True
        self._task.cancel()


@dataclass
class Deployment:
    """Calls go to the first replica that lives; one that is an error raises it."""

    replicas: list[Any]
    deaths: list[BaseException] = field(default_factory=list)
    """What the next calls meet instead of an answer."""
    responses: list[Response] = field(default_factory=list)

    def __getattr__(self, verb: str) -> Any:
        return _Method(self, verb)

    def broadcast(self, verb: str, *words: Any) -> Any:
        """Ask every replica."""
        return _Broadcast([ask(replica, verb, words) for replica in self.replicas])


async def ask(replica: Any, verb: str, words: tuple[Any, ...]) -> Any:
    """What a replica answers, of whichever kind its method is."""
    if isinstance(replica, BaseException):
        raise replica
    answer = getattr(replica, verb)(*words)
    return await answer if isinstance(answer, Awaitable) else answer


@dataclass
class _Method:
    deployment: Deployment
    verb: str

    def remote(self, *words: Any) -> Response:
        deployment = self.deployment
        replica = deployment.deaths.pop(0) if deployment.deaths else deployment.replicas[0]
        response = Response(ask(replica, self.verb, words))
        deployment.responses.append(response)
        return response


@dataclass
class _Broadcast:
    answers: list[Awaitable[Any]]

    async def results_async(self, *, return_exceptions: bool = False, timeout_s: float | None = None) -> list[Any]:
        async with asyncio.timeout(timeout_s):
            return list(await asyncio.gather(*self.answers, return_exceptions=return_exceptions))
