"""Addresses: which of them are this machine's own, and how people may see one, without the password in it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_SECRET = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^\s/?#'\"<>]*@")
HIDDEN = "…@"
ORIGIN = re.compile(r"https?://[A-Za-z0-9._-]+(:[0-9]+)?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
"""What browsers send as `Origin`."""
PATH_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
"""What may stand before every path of the service."""


def without_secrets(text: str) -> str:
    """A text in which no address holds a user or a password any more."""
    return _SECRET.sub(rf"\g<scheme>{HIDDEN}", text) if "@" in text else text


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """An address, an IPv4 one as such also where it is written as IPv6; None for what is no address."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, whoever resolves it."""
    name = host.lower().rstrip(".")
    address = address_of(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them; `*` is any. Raises ValueError for what is none."""
    wrong = [origin for origin in origins if origin != "*" and not ORIGIN.fullmatch(origin)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: write an origin as https://example.org, without a path")
    return tuple(origin.lower() for origin in origins)
