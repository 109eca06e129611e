"""What of a page is written by a program: all below `## In full`."""

from collections.abc import Sequence

HEAD = "## In full\n"


def written(page: str, told: str) -> str:
    """A page with what stands in full as it is now. Raises ValueError where it has no place for it."""
    words, head, _ = page.partition(HEAD)
    if not head:
        raise ValueError(f"the page has no line {HEAD.strip()}")
    return words + HEAD + told


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table below an empty line; nothing without rows."""
    if not rows:
        return ""
    first, *others = (f"| {' | '.join(map(_cell, cells))} |\n" for cells in (head, *rows))
    return "".join(("\n", first, f"|{'---|' * len(head)}\n", *others))


def either(words: list[str]) -> str:
    """One of these."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _cell(words: str) -> str:
    return " ".join(words.replace("|", r"\|").split())
