"""What programs print stands in pages, between marks of their own."""

import pytest

from benchmarks.load.writing import DOCUMENTS, marks_of, page_with

WRITTEN = {
    "decoders": "inputs.md",
    "engines": "feeding.md",
    "feeding": "feeding.md",
    "lost": "feeding.md",
    "failures": "feeding.md",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_measured_replaces_what_stands_between_the_marks_and_nothing_else(name: str) -> None:
    page = (DOCUMENTS / WRITTEN[name]).read_text("utf-8")
    begin, end = marks_of(name)
    assert page.count(begin) == page.count(end) == 1
    new = page_with(page, name, ["one", "two"])
    assert f"{begin}\none\ntwo\n{end}\n" in new
    assert page_with(new, name, ["three"]) == page_with(page, name, ["three"])
    assert new.startswith(page.partition(begin)[0])
    assert new.endswith(page.partition(end)[2])


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no marks of engines"):
        page_with("# A page", "engines", [])
