"""Headers that may stand once: of two hosts, keys or lengths nobody could say which one counts.

Whoever stands between a caller and the service may go by the first of two lines and the service by the last, so that
one of them would have checked what the other does not use.
"""

from collections.abc import Mapping, Sequence

from service.errors import MalformedRequest

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


def check_singles(lines: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> None:
    """Raises MalformedRequest where one of them stands twice."""
    if len(lines) == len(headers):
        return
    seen = set()
    for name, _ in lines:
        if name in seen and name in SINGLES:
            raise MalformedRequest(f"{name.decode('latin-1').title()} stands in it twice, and may stand once.")
        seen.add(name)
