"""docs/ink.md from the measurements."""

from collections.abc import Iterator, Sequence

from experiments.ink.record import Record

HEAD = """# Digits as people send them

Written by `python -m experiments.ink` from what it measures on test images of MNIST; the measurements lie in
[ink.json](ink.json), and `--render` writes this page from them alone.

MNIST's digits are light ink on black, scaled to a box of 20×20 and centred by their mass in 28×28 (LeCun et al., Proc.
IEEE 1998, section III-A), and a net that has seen nothing else is lost on anything else, and certain of it. A manifest
therefore names its input's convention (`ink = "light"`, `frame = "centred"`), and `/classify` and `/explain` bring an
image to it before the net sees it: the paper is found by the border, light or dark, lit unevenly or transparent; ink is
what differs from it; it is turned to light on black, cropped before it is shrunk, scaled and centred. What was done is
said in `notes`, and `as_is=true` leaves it out. An image that has the form already is not touched. `/evaluate`, stored
references and training never do any of this: there an inverted or a shifted digit is another digit.
"""
ACCURACY = """## Accuracy

{count} test digits in each form, as the service answers; in brackets the same with `as_is=true`. What a net loses in a
form is to be seen beside its first row; the sequential ones read a digit pixel by pixel and are worse at all of them.
"""
NOTES = """## What is said

What more than half of the images of a form have in their `notes`:
"""
UNTOUCHED = """## What is not touched

Images of MNIST that pass unchanged, bit for bit:
"""


def render(record: Record) -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            ACCURACY.format(count=record.count),
            _table(_accuracies(record)),
            NOTES,
            _table(_notes(record)),
            UNTOUCHED,
            *(f"- {part}: {kept:,} of {count:,}" for part, (kept, count) in record.unchanged.items()),
            "",
        ]
    )


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"


def _accuracies(record: Record) -> Iterator[Sequence[str]]:
    yield "form", *(f"`{found.model}`" for found in record.measurements)
    for name in record.measurements[0].forms:
        cells = (found.forms[name] for found in record.measurements)
        yield name, *(f"{cell.accuracy:.3f} ({cell.as_is:.3f})" for cell in cells)


def _notes(record: Record) -> Iterator[Sequence[str]]:
    yield "form", "notes"
    for name, form in record.measurements[0].forms.items():
        yield name, " ".join(form.notes) or "–"
