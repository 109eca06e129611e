"""The dashboard over a real Prometheus (Debian's), which scrapes a service under load."""

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from deploy.native import DASHBOARD
from deploy.observed import PICTURE, observe, serving
from deploy.panels import Series, draw, series_of, worded

needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")


@pytest.mark.prometheus
@pytest.mark.slow
@needs_prometheus
def test_every_panel_has_data_under_load(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if "prometheus" not in pytestconfig.getoption("markexpr"):
        pytest.skip("`make prometheus` runs it: a minute of load")
    with serving(tmp_path) as url:
        shown = observe(url, tmp_path)
    silent = sorted(title for title, series in shown.items() if not series)
    assert not silent, f"panels that show nothing under load: {silent}"
    ET.fromstring(draw(DASHBOARD, shown))


def test_a_panel_is_drawn_with_its_largest_series_named() -> None:
    answers = {"Memory": [Series("engine", [(0.0, 3e8), (1.0, 4e8)]), Series("front", [(0.0, 1e8), (1.0, 1e8)])]}
    drawn = draw(DASHBOARD, answers)
    ET.fromstring(drawn)
    assert drawn.index("engine: 381 MiB") < drawn.index("front: 95.4 MiB")


def test_values_that_are_no_numbers_are_left_out_of_a_series() -> None:
    answered: list[dict[str, Any]] = [
        {"metric": {"role": "front"}, "values": [[1, "2"], [2, "NaN"], [3, "4"]]},
        {"metric": {}, "values": [[1, "NaN"]]},
    ]
    assert series_of("{{role}} p99", answered) == [Series("front p99", [(1.0, 2.0), (3.0, 4.0)])]


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.25, "s", "250 ms"),
        (90, "s", "90 s"),
        (0.031, "percentunit", "3.1 %"),
        (1536, "bytes", "1.5 KiB"),
        (12, "reqps", "12/s"),
    ],
)
def test_numbers_have_their_units(value: float, unit: str, words: str) -> None:
    assert worded(value, unit) == words


def test_the_picture_of_the_documents_is_one() -> None:
    assert "Latest scores" in PICTURE.read_text("utf-8")
