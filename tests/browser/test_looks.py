"""What each reader needs of the page's looks: scales that can be read, no motion for whom it harms, paper."""

import re
from typing import TYPE_CHECKING

import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, go
from browser.seeing import Seen

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCALED = {"collapse": ".system .axes", "series": ".chart .axes", "service": ".figure .axes"}
"""The views with plots that have scales."""
A4 = {"width": 794, "height": 1123}


BOXES = """(labels) => labels.map((label) => label.getBoundingClientRect()).filter((box) => box.width)
    .map(({ left, top, right, bottom }) => [left, top, right, bottom])"""


def boxes(labels: "Locator") -> list[list[float]]:
    """Left, top, right and bottom of all of them at one moment: a plot may be drawn anew at any."""
    found: list[list[float]] = labels.evaluate_all(BOXES)
    return found


@pytest.mark.parametrize("screen", ["desktop", "phone"])
@pytest.mark.parametrize("view", sorted(SCALED))
def test_a_plot_names_its_scales_and_no_label_lies_on_another(
    open_page: Open, url: str, view: str, screen: str
) -> None:
    page = go(open_page(**(PHONE if screen == "phone" else {})), url, view)
    page.wait_for_selector(f"{SCALED[view]} .foot-scale span")
    for plot in page.locator(SCALED[view]).all():
        assert plot.locator(".across").inner_text()
        for scale in (".side-scale span", ".foot-scale span"):
            found = boxes(plot.locator(scale))
            assert len(found) >= 2
            for place, (left, top, right, bottom) in enumerate(found):
                assert left >= 0
                for other in found[place + 1 :]:
                    assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_a_forecast_begins_at_nought_of_its_scale(seen: Seen, url: str) -> None:
    page = go(seen, url, "series")
    page.wait_for_selector(".plot .forecast", state="attached")
    [nought] = boxes(page.locator(".foot-scale span").filter(has_text=re.compile("^0$")))
    line = page.locator(".plot .now").bounding_box()
    assert line is not None
    assert abs((nought[0] + nought[2]) / 2 - line["x"]) < 3


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_recording_plays_by_itself_only_where_motion_is_welcome(open_page: Open, url: str, motion: str) -> None:
    page = go(open_page(reduced_motion=motion), url, "collapse")
    page.wait_for_selector(".modes strong")
    if motion == "reduce":
        page.wait_for_function("() => document.getElementById('time').value === document.getElementById('time').max")
        assert page.get_by_role("button", name="Play").is_visible()
    else:
        page.get_by_role("button", name="Pause").wait_for()


def test_nothing_moves_for_whom_motion_harms(open_page: Open, url: str) -> None:
    page = go(open_page(reduced_motion="reduce"), url, "draw")
    PATHS["draw"](page)
    moving = (
        "() => [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s')"
    )
    assert page.evaluate(f"() => ({moving})().length") == 0
    assert page.evaluate("() => document.getAnimations().length") == 0


PRINTED = {"draw": ".said .label >> nth=0", "measure": ".report table", "series": ".plot .forecast"}
"""What of a view has to be on paper."""


@pytest.mark.parametrize("view", sorted(PRINTED))
def test_paper_shows_what_was_found_and_nothing_that_only_a_screen_needs(open_page: Open, url: str, view: str) -> None:
    page = go(open_page(viewport=A4, color_scheme="dark"), url, view)
    PATHS[view](page)
    page.emulate_media(media="print")
    for left_out in ("#contents", "#tools", "button:not([role=tab])"):
        assert not any(one.is_visible() for one in page.locator(left_out).all()), left_out
    assert page.locator("h1").is_visible()
    assert page.locator(PRINTED[view]).bounding_box()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert ground(page) == "rgb(255, 255, 255)"
    assert page.pdf(format="A4").startswith(b"%PDF")


def ground(page: "Page") -> str:
    """The colour of the paper."""
    colour: str = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return colour
