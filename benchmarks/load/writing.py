"""Where programs put what they print: into a page of docs/, between the marks that bear their name.

Programs of environments without a client of HTTP do so, too.
"""

from collections.abc import Sequence
from pathlib import Path

from service.files import write_whole

DOCUMENTS = Path(__file__).parents[2] / "docs"


def put(page: str, name: str, lines: Sequence[str]) -> None:
    """Have a page of docs/ say what the program of this name has printed."""
    path = DOCUMENTS / page
    write_whole(path, page_with(path.read_text("utf-8"), name, lines).encode())


def page_with(text: str, name: str, lines: Sequence[str]) -> str:
    """The page with these lines between the marks of `benchmarks/<name>.py`. Raises ValueError where it has none."""
    return between(text, name, marks_of(name), lines)


def between(text: str, name: str, marks: tuple[str, str], lines: Sequence[str]) -> str:
    """The page with these lines between two marks of other words. Raises ValueError where it lacks them."""
    begin, end = marks
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"no marks of {name} in the page")
    return "\n".join([before + begin, *lines, end + after])


def marks_of(name: str) -> tuple[str, str]:
    """What stands before and behind what a program writes."""
    return f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
