"""Where a request comes from, and under which path and names: as trusted proxies tell, and nobody else."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from service.addresses import PATH_PREFIX, address_of
from service.api.access.callers import Caller, caller_at, peer_of
from service.settings import Settings

Headers = Mapping[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]
FORWARDED_FOR = b"x-forwarded-for"
HOPS_LIMIT = 32
"""More proxies than this stand in no row."""


class Place(NamedTuple):
    """A request's own path, what stands before it outside, by whom it is asked for, and under which names."""

    path: str
    prefix: str
    caller: Caller
    hosts: tuple[bytes, ...]

    def outside(self, location: bytes) -> bytes:
        """A path of the service as the caller has to ask for it; of an address of the service the path alone."""
        parts = urlsplit(location)
        if parts.netloc and parts.netloc not in self.hosts:
            return location
        path, prefix = parts.path, self.prefix.encode()
        if not path.startswith(prefix + b"/"):
            path = prefix + path
        return b"/" + path.lstrip(b"/") + (b"?" + parts.query if parts.query else b"")


class Proxies:
    """The proxies that are believed."""

    def __init__(self, networks: Iterable[str], *, prefix: str = "") -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(each, strict=False) for each in networks]
        self._prefix = prefix
        self._trusts = lru_cache(maxsize=1024)(self._is_trusted)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the settings."""
        return cls(settings.trusted_proxies, prefix=settings.root_path)

    def place(self, scope: Mapping[str, Any], headers: Headers) -> Place:
        """What a request tells of where it comes from, as far as it is believed."""
        peer, host, prefix = peer_of(scope), headers.get(b"host"), self._prefix or scope.get("root_path", "")
        hosts = (host,) if host else ()
        if self.trusts(peer):
            peer = self._caller_behind(peer, scope["headers"])
            prefix = _prefix_of(headers) or prefix
            if outside := _first(headers, b"x-forwarded-host"):
                hosts = (*hosts, outside)
        return Place(_without(prefix, scope["path"]), prefix, caller_at(peer), hosts)

    def trusts(self, peer: str) -> bool:
        """Whether it is a proxy, and what it sends others' requests."""
        return bool(self._networks) and self._trusts(peer)

    def _caller_behind(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The last address of the row that is none of the proxies': what stands before it anybody may have written."""
        told = b",".join(value for name, value in headers if name == FORWARDED_FOR).decode("latin-1")
        for hop in reversed(told.split(",")[-HOPS_LIMIT:]):
            address = address_of(_without_port(hop.strip()))
            if address is None:
                return peer
            peer = str(address)
            if not self._trusts(peer):
                return peer
        return peer

    def _is_trusted(self, address: str) -> bool:
        found = address_of(address)
        return found is not None and any(found in network for network in self._networks)


def _without_port(hop: str) -> str:
    """`192.0.2.7:4711` and `[2001:db8::1]:4711` as some proxies write them, without the port and the brackets."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _first(headers: Headers, name: bytes) -> bytes:
    return headers.get(name, b"").partition(b",")[0].strip()


def _prefix_of(headers: Headers) -> str:
    """The prefix that a proxy tells; none where it is no path."""
    told = _first(headers, b"x-forwarded-prefix").decode("latin-1").rstrip("/")
    return told if PATH_PREFIX.fullmatch(told) else ""


def _without(prefix: str, path: str) -> str:
    """A path as the service knows it, whether the proxy has taken the prefix off or not."""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :] or "/"
    return path
