"""Where a command's work is done: in this process, or by a running service. Both are asked in the same words."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from service.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.client.blocking import Client
    from service.local.blocking import Local

    Place: TypeAlias = Client | Local

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Address of a running service that does the work, with its port; this process unless given.",
    ),
]


@contextmanager
def place_of(server: str | None) -> "Iterator[Place]":
    """The service at this address, or this process."""
    if server is None:
        from service.local.blocking import Local

        with Local(read_settings()) as local:
            yield local
        return
    from service.client.blocking import Client

    with Client(server) as client:
        yield client
