"""What browsers are told about answers, all in this place: a page loads and runs what is named here and nothing else.

A page that needs more than the strict policy has a line in POLICIES, by its path.
"""

from service.api.access.proxies import RawHeaders

_CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STRICT = f"{_CLOSED}; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'"
"""Everything comes from the service itself, and nothing stands inside the page that runs."""
REPORT = f"{_CLOSED}; style-src 'unsafe-inline'; img-src data:"
"""A report and a drawing show what clients sent; they run nothing and load nothing."""
POLICIES: dict[str, str] = {}

ALWAYS: RawHeaders = [(b"x-content-type-options", b"nosniff")]
_PAGE: RawHeaders = [
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_SHOWN = (b"text/html", b"image/svg+xml", b"application/xhtml+xml")
_SECURED = {path: [*_PAGE, (b"content-security-policy", policy.encode())] for path, policy in POLICIES.items()}
_STRICT = [*_PAGE, (b"content-security-policy", STRICT.encode())]
_DRAWING = [*_PAGE, (b"content-security-policy", REPORT.encode())]


def headers_for(path: str, kind: bytes) -> RawHeaders:
    """What belongs to an answer of this media type, beside what it says itself."""
    if not kind.startswith(_SHOWN):
        return []
    if kind.startswith(b"image/"):
        return _DRAWING
    return _SECURED.get(path, _STRICT)
