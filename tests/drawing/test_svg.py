import math
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.drawing.svg import PlotArea, dots, line, tag, text, ticks


def test_a_frame_maps_data_between_its_margins() -> None:
    frame = PlotArea(100, 50, left=10, right=20, top=5, bottom=15)
    x, y = frame.across(-1, 1), frame.upwards(0, 4)
    assert [x(-1), x(0), x(1)] == [10, 45, 80]
    assert [y(0), y(4)] == [35, 5]
    assert math.isfinite(frame.across(2, 2)(2))


def test_a_drawing_is_xml_whatever_its_words_hold() -> None:
    frame = PlotArea(100.04, 50)
    marks = (text('<b> & "c"', 1, 2, text_anchor="end"), line(0, 1, 2, 3, "axis"), dots([(1.26, 2)], "real"))
    drawing = fromstring(frame.drawing('a "<title>"', *marks))
    assert (drawing.get("viewBox"), drawing.get("role"), drawing.get("aria-label")) == (
        "0 0 100 50",
        "img",
        'a "<title>"',
    )
    words, stroke, path = drawing
    assert (words.text, words.get("text-anchor")) == ('<b> & "c"', "end")
    assert (stroke.get("class"), path.get("d")) == ("axis", "M1.3 2h0")
    assert tag("circle", r=5) == '<circle r="5"/>'


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    if high - low < abs(low) * 1e-9:
        return
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in found)


def test_without_a_span_there_is_one_tick() -> None:
    assert ticks(3, 3) == [3]
    assert ticks(0, 1, 4) == pytest.approx([0, 0.5, 1])
