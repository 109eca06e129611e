"""The pictures of the page in docs/pictures look like the page; one that is removed is taken anew."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, go
from browser.test_giving import DROP
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Frames = Iterator[Image.Image]
FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
MOST_BYTES = 600_000
COLOURS = 96
QUALITY = 70
COARSE = (24, 24)
APART = 30.0
"""Levels of 255 by which coarse pictures may differ in the mean: fonts and numbers may, not what the page is."""
FRAME = (400, 281)
GAP = 8
TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "page-draw": ("draw", {"viewport": {"width": 1280, "height": 1240}}),
    "page-inside": ("inside", {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "dark"}),
    "page-sample": ("sample", {"viewport": {"width": 1280, "height": 1000}}),
    "page-collapse": ("collapse", {"viewport": {"width": 1280, "height": 940}}),
    "page-phone": ("measure", {**PHONE, "viewport": {"width": 390, "height": 1400}, "color_scheme": "dark"}),
}


def taken(page: "Page", view: str) -> Image.Image:
    """The page once its main path is taken, from its top."""
    PATHS[view](page)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    return shot(page)


def shot(page: "Page") -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")


def coarse(picture: Image.Image) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(picture.convert("L").resize(COARSE, Image.Resampling.BOX), np.float64)


def is_like(name: str, found: Image.Image) -> bool:
    """Whether a picture that is kept is like the one that was found; one that is not there is kept from now on."""
    path = FOLDER / name
    if not path.exists():
        keep(found, path)
    with Image.open(path) as kept:
        return kept.size == found.size and np.abs(coarse(kept.convert("RGB")) - coarse(found)).mean() < APART


def keep(found: Image.Image, path: Path) -> None:
    """Lightly: a view in few colours, and many small ones by what loses a little of each."""
    if path.suffix == ".webp":
        found.save(path, quality=QUALITY, method=6)
    else:
        found.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_picture_looks_like_the_page(open_page: Open, url: str, name: str) -> None:
    view, told = TAKEN[name]
    assert is_like(f"{name}.png", taken(go(open_page(**told), url, view), view))


def digit(open_page: Open, url: str) -> Frames:
    """An empty sheet, a digit and its labels, what was done to it."""
    page = go(open_page(), url, "draw")
    page.wait_for_load_state("networkidle")
    yield shot(page)
    yield taken(page, "draw")
    page.locator(".strip").first.scroll_into_view_if_needed()
    yield shot(page)


def invention(open_page: Open, url: str) -> Frames:
    """Ten systems, a walk through one, and what such systems leave out."""
    seen = open_page()
    page = go(seen, url, "sample")
    yield taken(page, "sample")
    page.locator(".paths").scroll_into_view_if_needed()
    yield shot(page)
    yield taken(go(seen, url, "collapse"), "collapse")


def verdict(open_page: Open, url: str) -> Frames:
    """Two archives that were dropped, what was found of them, and the whole report."""
    page = go(open_page(), url, "measure")
    page.wait_for_selector("#against option", state="attached")
    page.evaluate(DROP, [archive(url, name) for name in ("wgan-mnist", "gan-mnist")])
    page.fill("#thresholds", "one_nn<=0.6")
    yield shot(page)
    page.locator(".form [type=submit]").click()
    page.wait_for_selector(".report .verdict")
    yield shot(page)
    page.goto(page.locator(".report a").get_attribute("href") or "")
    yield shot(page)


def archive(url: str, model: str) -> list[str]:
    """Samples of a generator, as a file that is dropped."""
    drawn = httpx.post(f"{url}/generate", json={"model": model, "count": 500, "format": "npz"}, timeout=120)
    return [base64.b64encode(drawn.content).decode(), f"{model}.npz", "application/octet-stream"]


def test_the_film_strip_looks_like_the_three_main_paths(open_page: Open, url: str) -> None:
    width, height = FRAME
    film = [list(path(open_page, url)) for path in (digit, invention, verdict)]
    strip = Image.new("RGB", (3 * (width + GAP) - GAP, len(film) * (height + GAP) - GAP), "white")
    for row, frames in enumerate(film):
        for column, frame in enumerate(frames):
            strip.paste(frame.resize(FRAME, Image.Resampling.LANCZOS), (column * (width + GAP), row * (height + GAP)))
    assert is_like("page-film.png", strip)


def test_the_pictures_are_light() -> None:
    for kind in ("page-*.png", "sheet-*.webp"):
        assert sum(path.stat().st_size for path in FOLDER.glob(kind)) < MOST_BYTES
