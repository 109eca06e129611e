"""Addresses as people may see them: without the user and the password that stand in one."""

import re

_SECRET = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{1,2})[^\s/?#'\"<>]*@")
HIDDEN = "…@"


def without_secrets(text: str) -> str:
    """A text in which no address holds a user or a password any more."""
    return _SECRET.sub(rf"\g<scheme>{HIDDEN}", text) if "@" in text else text
