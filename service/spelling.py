"""What somebody may have meant who named something that is not there."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 64
"""Characters of a name that is compared with others: no name is as long, and to compare takes time."""


def meant(name: str, known: Iterable[str]) -> str:
    """The question that ends such a sentence, or nothing where no name is near."""
    near = get_close_matches(name, known, n=1) if len(name) <= LONGEST else []
    return f" Did you mean {near[0]!r}?" if near else ""
