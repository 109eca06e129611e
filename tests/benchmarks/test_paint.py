"""The times of the page's first paint are told as medians, a line a view."""

from browser.paths import VIEWS as KNOWN

from benchmarks.paint import VIEWS, table


def test_every_view_is_opened() -> None:
    assert VIEWS == KNOWN


def test_medians_are_told() -> None:
    said = table({"draw": [(90.0, 200.0), (110.4, 220.0), (500.0, 900.0)]}).splitlines()
    assert said[0].endswith("median of 3")
    assert said[1].split() == ["draw", "110", "220"]
