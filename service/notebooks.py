"""How results look to people: a table in a notebook, a short line at a prompt."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import ClassVar, TypeVar

MOST_ROWS = 100
Row = Mapping[str, object]
"""What stands under each heading."""


class Shown:
    """A result that knows its rows and how to be called in a few words."""

    columns: ClassVar[tuple[str, ...]] = ()
    """The attributes that stand in its row, where it has one."""
    words: ClassVar[str] = ""
    """What it is called, to be formatted with itself."""

    def rows(self) -> Sequence[Row]:
        """The rows of its table."""
        return [{name: getattr(self, name) for name in self.columns}]

    def brief(self) -> str:
        """It, in a few words."""
        return self.words.format(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.brief()})"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        return table_of(self.rows(), caption=self.brief())


ShownT = TypeVar("ShownT", bound=Shown)


class Listing(list[ShownT]):
    """A list of results that is one table in a notebook."""

    def _repr_html_(self) -> str:
        return table_of([row for item in self for row in item.rows()])


def table_of(rows: Sequence[Row], *, caption: str = "") -> str:
    """An HTML table; what stands in it is text and nothing else."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    body = [_line("td", [row.get(heading) for heading in headings]) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        body.append(f'<tr><td colspan="{len(headings)}">… {len(rows) - MOST_ROWS:,} more</td></tr>')
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead>{_line('th', headings)}</thead><tbody>{''.join(body)}</tbody></table>"


def words_of(value: object) -> str:
    """A cell in words: numbers short, nothing for None."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(words_of(cell))}</{tag}>' for cell in cells)}</tr>"
