"""Headers that may stand once, and the one that has to: of two hosts or keys nobody could say which one counts.

Whoever stands between a caller and the service may go by the first of two lines and the service by the last, so that
one of them would have checked what the other does not use.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from service.errors import MalformedRequest

HOST = re.compile(rb"(?:\[[\w:.~%-]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?", re.ASCII)
"""A name or an address, and a port; nothing where the target has none (RFC 9112, 3.2; RFC 3986, 3.2.2)."""
LONGEST_HOST = 300
"""No name of a host is longer, its port included."""

SINGLES = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"host",
        b"inference-header-content-length",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"x-deadline-ms",
    }
)


def check_head(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
    """All that is wrong with a head, whichever way its request is answered. Raises MalformedRequest."""
    check_singles(scope["headers"], headers)
    check_host(scope, headers)


def check_singles(lines: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> None:
    """Raises MalformedRequest where one of them stands twice."""
    if len(lines) == len(headers):
        return
    seen = set()
    for name, _ in lines:
        if name in seen and name in SINGLES:
            raise MalformedRequest(f"{name.decode('latin-1').title()} stands in it twice, and may stand once.")
        seen.add(name)


def check_host(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
    """Raises MalformedRequest where `Host` is missing, which HTTP/1.1 does not allow, or is no name of a host."""
    host = headers.get(b"host")
    if host is None:
        if scope["http_version"] == "1.1":
            raise MalformedRequest("A request of HTTP/1.1 has to name its `Host`.")
    elif len(host) > LONGEST_HOST or not _is_host(host):
        raise MalformedRequest("What stands in `Host` is no name of a host.")


@lru_cache(maxsize=1024)
def _is_host(host: bytes) -> bool:
    return HOST.fullmatch(host) is not None
