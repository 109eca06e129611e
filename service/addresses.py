"""Addresses: which of them are this machine's own, and how people may see one, without the password in it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

_SECRET = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^\s/?#'\"<>]*@")
HIDDEN = "…@"


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
