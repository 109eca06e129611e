"""Who asks: the owner of a key, or an address. What is counted by caller is counted by its name."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import Any, NamedTuple

from service.addresses import address_of

NOTED = "caller"
"""Where a request's state holds its caller, once the gate knows it."""
LOCAL = "local"
"""What the bearer of this machine's own token is called, and no key."""
V6_NETWORK_BITS = 64
"""One customer's network: whoever has an address of IPv6 has so many of them."""


class Caller(NamedTuple):
    """Whoever a request comes from."""

    name: str
    """The key's name, or else the address: what limits, budgets and logs go by. No key is called like an address."""
    scopes: frozenset[str] = frozenset()
    """What the key may do; nothing where there is none."""
    key: str | None = None
    """The key's name: whose evaluations these are. None for callers without one, and for this machine's own token."""
    address: str = ""
    """Where it comes from, as far as trusted proxies tell."""

    @property
    def is_known(self) -> bool:
        """Whether it has shown a key, or the token of this machine."""
        return self.key is not None or self.name == LOCAL


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """The caller of a request: as the gate has noted it, and before that by the address that it comes from alone."""
    noted: Caller | None = scope.get("state", {}).get(NOTED)
    return noted or caller_at(peer_of(scope))


def peer_of(scope: Mapping[str, Any]) -> str:
    """The address at the other end of the connection; empty where it has none."""
    client = scope.get("client")
    return client[0] if client else ""


@lru_cache(maxsize=4096)
def caller_at(address: str) -> Caller:
    """Somebody without a key at an address. Addresses of one IPv6 network count as one caller."""
    found = address_of(address)
    if isinstance(found, IPv6Address) and not found.is_loopback:
        network = IPv6Network((found, V6_NETWORK_BITS), strict=False)
        return Caller(str(network), address=str(found))
    return Caller(str(found or address), address=str(found or address))
