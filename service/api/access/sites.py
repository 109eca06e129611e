"""Which web pages may use the service: its own, those of origins that a setting names, and never one of another site.

A browser sends along where a page comes from (`Origin`, `Sec-Fetch-Site`); other clients send neither. A page whose
name has been made to lead to this machine (DNS rebinding) calls the service by that name: `Host` gives it away.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Self

from service.addresses import is_loopback
from service.api.access.proxies import Headers, Place, RawHeaders
from service.errors import Forbidden
from service.settings import Settings

ALLOWED = (
    b"authorization, content-type, prefer, x-deadline-ms, x-request-id, last-event-id, inference-header-content-length"
)
EXPOSED = (
    b"location, retry-after, content-disposition, www-authenticate, "
    b"x-count, x-model, x-model-form, x-model-version, x-request-id, x-seed, inference-header-content-length"
)
PREFLIGHT: RawHeaders = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE"),
    (b"access-control-allow-headers", ALLOWED),
    (b"access-control-max-age", b"600"),
]
DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}


class Sites:
    """The names under which the service answers, and the origins whose pages may use it."""

    def __init__(self, *, host: str, allowed_hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._names = {name.lower() for name in allowed_hosts}
        self._checks_hosts = bool(self._names) or is_loopback(host)
        self._origins = {origin.lower().encode("latin-1") for origin in origins}
        self._knows = lru_cache(maxsize=1024)(self._is_known)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of the settings."""
        return cls(host=settings.host, allowed_hosts=settings.allowed_hosts, origins=settings.cors_origins)

    def check_host(self, headers: Headers) -> None:
        """Let in who calls the service by one of its names; browsers always name it. Raises Forbidden."""
        host = headers.get(b"host")
        if self._checks_hosts and host and not self._knows(host):
            raise Forbidden(
                "The service is not known by the name in `Host`; CHAPTERHOUSE_ALLOWED_HOSTS tells it further names."
            )

    def check_origin(self, headers: Headers, place: Place) -> None:
        """Let in no page of another site. Raises Forbidden."""
        origin = headers.get(b"origin")
        if origin is not None and self._shares_with(origin):
            return
        own = origin is None or any(_is_same(origin, host) for host in place.hosts)
        if not own or headers.get(b"sec-fetch-site", b"").lower() == b"cross-site":
            raise Forbidden("A page of another site asks for this; CHAPTERHOUSE_CORS_ORIGINS names those that may.")

    def shared(self, headers: Headers) -> RawHeaders:
        """What tells a browser that a page of another origin may read the answer; nothing where it may not."""
        if not self._origins:
            return []
        vary = (b"vary", b"origin")
        origin = headers.get(b"origin")
        if origin is None or not self._shares_with(origin):
            return [vary]
        return [vary, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", EXPOSED)]

    def preflight(self, method: str, headers: Headers) -> RawHeaders | None:
        """What answers a browser that asks beforehand; None for any other request. Raises Forbidden."""
        origin = headers.get(b"origin")
        if method != "OPTIONS" or origin is None or b"access-control-request-method" not in headers:
            return None
        if not self._shares_with(origin):
            raise Forbidden(
                "No page of this origin may use the service; CHAPTERHOUSE_CORS_ORIGINS names those that may."
            )
        return PREFLIGHT

    def _shares_with(self, origin: bytes) -> bool:
        return origin.lower() in self._origins or b"*" in self._origins

    def _is_known(self, host: bytes) -> bool:
        text = host.decode("latin-1").lower()
        name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
        return name.rstrip(".") in self._names or text in self._names or "*" in self._names or is_loopback(name)


def _is_same(origin: bytes, host: bytes) -> bool:
    """Whether an origin is that of the service at this host. A proxy may have ended TLS, so any scheme will do."""
    scheme, separator, name = origin.lower().partition(b"://")
    port = b":" + DEFAULT_PORTS.get(scheme, b"")
    return bool(separator) and name.removesuffix(port) == host.lower().removesuffix(port)
