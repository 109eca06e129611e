"""Who may do what: while there are no keys, only this machine changes what the service holds."""

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

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


def client_of(scope: Scope) -> str:
    """Whom limits hold to be one client: the address that a request comes from."""
    client = scope.get("client")
    return household(client[0]) if client else ""


@lru_cache(maxsize=8192)
def household(host: str) -> str:
    """An address as limits see it: of IPv6 the network of 64 bits, which whoever has one address has whole."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ip_network((int(address) >> 64 << 64, 64)))
