"""`AsyncClient`: a running service, for programs with an event loop.

async with AsyncClient("http://127.0.0.1:8000") as client:
    report = await client.evaluate("samples.zip", "mnist-test", metrics=["fid"])
    print(report.fid)
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

from service.client.evaluations import EvaluationMethods
from service.client.exchange import Exchange
from service.client.models import ModelMethods
from service.client.sending import AsyncSender, Sender, connection_to

HOME = "http://127.0.0.1:8000"
"""Where a service listens that was told nothing else."""
RETRIES = 2


class ServiceMethods(ModelMethods, EvaluationMethods):
    """All that a service can be asked, over anything that sends."""

    def __init__(self, sender: Sender, retries: int) -> None:
        self.sender = sender
        super().__init__(Exchange(sender, retries=retries))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sender.address!r})"


class AsyncClient(ServiceMethods):
    """A service at `base_url`, `token` its key: that of the environment unless given.

    A request that was refused is sent again when the service says, `retries` times at most. Raises the service's own
    errors, and ServiceUnreachable where nobody answers.
    """

    def __init__(
        self,
        base_url: str = HOME,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(AsyncSender(connection_to(base_url, token=token, headers=headers), transport), retries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.sender.close()
