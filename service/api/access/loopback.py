"""Who may do what: while there are no keys, only this machine changes what the service holds."""

from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request

from service.errors import Forbidden


def from_loopback(request: Request) -> None:
    """Let only this machine pass. Raises Forbidden."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
        local = (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        local = request.client is None
    if not local:
        raise Forbidden("Without API keys only requests from this machine may do this.")


LoopbackOnly = Annotated[None, Depends(from_loopback)]
"""A route's promise that it answers this machine only."""
