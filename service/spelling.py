"""What somebody may have meant who named something that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 64
"""Characters of a name that is compared with others: no name is as long, and to compare takes time."""


def meant(name: str, known: Iterable[str]) -> str:
    """The question that ends such a sentence, or nothing where no name is near."""
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


def aside(name: str, known: Iterable[str]) -> str:
    """The same question within a sentence."""
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that is nearest, if one is near."""
    near = get_close_matches(name, known, n=1) if len(name) <= LONGEST else []
    return near[0] if near else None
