"""`Client`: a running service, for programs that wait for each answer.

with Client("http://127.0.0.1:8000") as client:
    report = client.evaluate("samples.zip", "mnist-test", metrics=["fid"])
    print(report.fid)
"""

from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from service.client.asynchronous import HOME, RETRIES, ServiceMethods
from service.client.faces import blocking, blocking_each
from service.client.sending import BlockingSender, at_once, connection_to

T = TypeVar("T")


class Client:
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        sender = BlockingSender(connection_to(base_url, token=token, headers=headers), transport)
        self.asynchronous = ServiceMethods(sender, retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.asynchronous.sender.address!r})"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine over `asynchronous` comes to."""
        return at_once(work)

    def close(self) -> None:
        """Close the connections."""
        at_once(self.asynchronous.sender.close())

    ready = blocking(ServiceMethods.ready)
    models = blocking(ServiceMethods.models)
    model = blocking(ServiceMethods.model)
    load = blocking(ServiceMethods.load)
    unload = blocking(ServiceMethods.unload)
    name_version = blocking(ServiceMethods.name_version)
    forget_name = blocking(ServiceMethods.forget_name)
    classify = blocking(ServiceMethods.classify)
    explain = blocking(ServiceMethods.explain)
    explain_arrays = blocking(ServiceMethods.explain_arrays)
    units = blocking(ServiceMethods.units)
    units_picture = blocking(ServiceMethods.units_picture)
    forecast = blocking(ServiceMethods.forecast)
    generate = blocking(ServiceMethods.generate)
    generate_into = blocking(ServiceMethods.generate_into)
    evaluate = blocking(ServiceMethods.evaluate)
    evaluations = blocking(ServiceMethods.evaluations)
    evaluation = blocking(ServiceMethods.evaluation)
    follow = blocking_each(ServiceMethods.follow)
    delete_evaluation = blocking(ServiceMethods.delete_evaluation)
    page = blocking(ServiceMethods.page)
    references = blocking(ServiceMethods.references)
    reference = blocking(ServiceMethods.reference)
    put_reference = blocking(ServiceMethods.put_reference)
    delete_reference = blocking(ServiceMethods.delete_reference)
