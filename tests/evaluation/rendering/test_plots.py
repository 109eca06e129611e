import re
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pytest
from evaluation.reporting import entry, figures

from service.evaluation.figures.data import Classes, Curve, Projection
from service.evaluation.rendering.plots import draw_classes, draw_curve, draw_projection, draw_score
from service.evaluation.report.schema import Check, Comparison, MetricEntry

SHOWN = figures()


def parsed(drawing: str) -> Element:
    assert "nan" not in drawing
    return fromstring(drawing)


def kinds(drawing: str) -> list[str]:
    return [element.get("class") or "" for element in parsed(drawing)]


def words(drawing: str) -> list[str]:
    return [element.text or "" for element in parsed(drawing).iter("text")]


def test_a_score_is_a_dot_on_its_interval_beside_real_against_real() -> None:
    drawing = draw_score("Fréchet distance", entry(10.0), [])
    found = {element.get("class"): element for element in parsed(drawing)}
    bar, dot = found["interval"], found["value"]
    assert float(bar.get("x", 0)) < float(dot.get("cx", 0)) < float(bar.get("x", 0)) + float(bar.get("width", 0))
    diamond = re.match(r"M([\d.]+)", found["floor"].get("d", ""))
    assert diamond is not None
    assert float(diamond[1]) < float(bar.get("x", 0))
    assert parsed(drawing).get("aria-label") == "Fréchet distance: 10.00"


@pytest.mark.parametrize(
    ("threshold", "passed", "label", "is_line"),
    [
        ("fid<=11", True, "limit 11", True),
        ("fid<0.5", False, "limit 0.5", True),
        ("fid<=300", True, "limit 300 →", False),
        ("fid>=-70", True, "← limit −70", False),
    ],
)
def test_a_limit_is_a_line_or_an_arrow_to_it(threshold: str, passed: bool, label: str, is_line: bool) -> None:  # noqa: FBT001
    check = Check(threshold=threshold, value=10.0, passed=passed)
    drawing = draw_score("fid", entry(10.0), [check])
    assert label in words(drawing)
    drawn = [element for element in parsed(drawing) if "limit" in (element.get("class") or "")]
    assert [element.tag for element in drawn] == (["line", "text"] if is_line else ["text"])
    assert all(("holds" if passed else "fails") in (element.get("class") or "") for element in drawn)


@pytest.mark.parametrize("threshold", ["fid.rank>=3", "fid not worse than 5f3a"])
def test_what_is_no_limit_of_the_value_is_not_drawn(threshold: str) -> None:
    compared = Comparison(evaluation="5f3a", value=1, difference=1, interval=None) if "worse" in threshold else None
    check = Check(threshold=threshold, value=10.0, passed=True, baseline=compared)
    assert not any("limit" in word for word in words(draw_score("fid", entry(10.0), [check])))


@pytest.mark.parametrize("lone", [entry(0.0, interval=None, noise_floor=None), entry(-3.0, interval=None), entry(1e-9)])
def test_any_score_can_be_drawn(lone: MetricEntry) -> None:
    assert "value" in kinds(draw_score("x", lone, []))


def test_the_projection_draws_both_sets_in_turns_and_every_sample() -> None:
    assert SHOWN.projection is not None
    drawing = draw_projection(SHOWN.projection)
    layers = [element for element in parsed(drawing) if element.tag == "path"]
    assert [element.get("class") for element in layers[:2]] == ["dots real", "dots made"]
    assert sum((element.get("d") or "").count("M") for element in layers) == 50
    assert "first component, 50% of the variance →" in words(drawing)


def test_a_set_without_spread_can_be_projected() -> None:
    point = np.zeros((4, 2))
    parsed(draw_projection(Projection(point, point, np.zeros(2))))


def test_every_class_has_two_bars_and_of_many_classes_those_that_differ_most() -> None:
    assert SHOWN.classes is not None
    assert kinds(draw_classes(SHOWN.classes)).count("bar real") == 4
    assert "class <0>" in words(draw_classes(SHOWN.classes))
    labels = np.array([f"a rather long name of class {index}" for index in range(100)])
    real, made = np.full(100, 0.01), np.full(100, 0.01)
    made[42] = 0.5
    drawing = draw_classes(Classes(np.array([f"{index} {label}" for index, label in enumerate(labels)]), real, made))
    assert kinds(drawing).count("bar made") == 20
    assert next(word for word in words(drawing) if "rather" in word) == "42 a rather long …"


def test_the_curve_ends_in_the_reports_own_score() -> None:
    assert SHOWN.curve is not None
    drawing = draw_curve(SHOWN.curve, (160, 1.5))
    assert kinds(drawing)[-1] == "value"
    assert "160" in words(drawing)
    track = next(element for element in parsed(drawing) if element.get("class") == "track")
    heights = [float(point.split(",")[1]) for point in (track.get("points") or "").split()]
    assert heights == sorted(heights)
    assert len(heights) == 4
    assert "value" not in kinds(draw_curve(SHOWN.curve, None))


def test_a_curve_of_nothing_but_zeros_is_not_drawn() -> None:
    assert draw_curve(Curve(np.array([20]), np.zeros((1, 3))), (40, 0.0)) == ""
    assert "track" in kinds(draw_curve(Curve(np.array([20, 40]), np.full((2, 3), 4.0)), (80, 4.0)))
