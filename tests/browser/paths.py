"""The main path through each view of the page, as a reader takes it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from browser.seeing import Seen

from service.api.documents.page import FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 120_000
STROKE = ((0.3, 0.25), (0.7, 0.25), (0.55, 0.5), (0.45, 0.8))
FULL = "(one) => /^8[^\\d]+8\\D*$/.test(one.textContent)"
"""Whether all modes are covered, in either language."""
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}
VIEWS = sorted(path.stem for path in (FOLDER / "views").glob("*.js"))


def go(seen: Seen, url: str, view: str) -> "Page":
    page = seen.page
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/#/{view}")
    page.wait_for_selector(f".view.{view}")
    return page


def stroke(page: "Page") -> None:
    """Draw a seven by mouse."""
    page.wait_for_selector(".card")
    box = page.locator(".pad").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in STROKE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def draw(page: "Page") -> None:
    stroke(page)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert "7" in page.locator(".said .label").all_inner_texts()
    assert page.locator(".strip .step").count() == 2  # inverted, then centred
    assert page.locator(".strip .step img").evaluate_all("(steps) => steps.map((step) => step.naturalWidth > 0)") == [
        True,
        True,
    ]


def inside(page: "Page") -> None:
    page.wait_for_selector(".ways canvas >> nth=2")
    page.locator(".tiles").nth(2).locator(".tile").nth(3).click()
    page.wait_for_selector(".nine canvas >> nth=8")
    page.locator(".tile.large").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".tile.lit").count() == page.locator(".tiles").count()


def series(page: "Page") -> None:
    page.wait_for_selector(".plot .band", state="attached")
    page.fill("#values", ", ".join(str(step % 12) for step in range(96)))
    page.locator("#values").blur()
    page.wait_for_selector(".errors li >> nth=2")


def sample(page: "Page") -> None:
    page.wait_for_selector(".path .large >> nth=3")
    page.wait_for_selector(".system >> nth=9")
    page.locator(".system.asking").last.wait_for(state="detached")
    page.locator("#walk").press("ArrowRight")
    assert "14" in (page.locator("#walk").get_attribute("aria-valuetext") or "")


def collapse(page: "Page") -> None:
    page.wait_for_selector(".modes strong")
    page.locator("#time").press("End")
    page.wait_for_function(f"() => [...document.querySelectorAll('.modes strong')].filter({FULL}).length > 3")


def measure(page: "Page") -> None:
    page.wait_for_selector("#source option", state="attached")
    page.fill("#thresholds", "fid<=3")
    page.locator(".form [type=submit]").click()
    page.wait_for_selector(".report .verdict.good")
    page.wait_for_selector(".earlier tbody td >> text=fid 0.")


def service_view(page: "Page") -> None:
    page.wait_for_selector(".numbers .big >> nth=4")
    page.wait_for_selector("tbody tr")


PATHS: dict[str, Callable[["Page"], None]] = {
    "draw": draw,
    "inside": inside,
    "series": series,
    "sample": sample,
    "collapse": collapse,
    "measure": measure,
    "service": service_view,
}
