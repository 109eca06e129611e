"""The pictures of the page in docs/pictures look like the page; one that is removed is taken anew."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, go
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FOLDER = Path(__file__).parent.parent.parent / "docs" / "pictures"
MOST_BYTES = 600_000
COLOURS = 96
COARSE = (24, 24)
APART = 30.0
"""Levels of 255 by which coarse pictures may differ in the mean: fonts and numbers may, not what the page is."""
FRAME = (400, 281)
GAP = 8
FILM = {"draw": ".strip", "sample": ".paths", "measure": ".report tbody tr:last-child"}
"""The three main paths, and what comes of each."""
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
    path = FOLDER / f"{name}.png"
    if not path.exists():
        found.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    with Image.open(path) as kept:
        return kept.size == found.size and np.abs(coarse(kept.convert("RGB")) - coarse(found)).mean() < APART


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_picture_looks_like_the_page(open_page: Open, url: str, name: str) -> None:
    view, told = TAKEN[name]
    assert is_like(name, taken(go(open_page(**told), url, view), view))


def test_the_film_strip_looks_like_the_three_main_paths(open_page: Open, url: str) -> None:
    width, height = FRAME
    strip = Image.new("RGB", (3 * (width + GAP) - GAP, len(FILM) * (height + GAP) - GAP), "white")
    for row, (view, result) in enumerate(FILM.items()):
        page = go(open_page(), url, view)
        page.wait_for_load_state("networkidle")
        frames = [shot(page), taken(page, view)]
        page.locator(result).scroll_into_view_if_needed()
        frames.append(shot(page))
        for column, frame in enumerate(frames):
            strip.paste(frame.resize(FRAME, Image.Resampling.LANCZOS), (column * (width + GAP), row * (height + GAP)))
    assert is_like("page-film", strip)


def test_the_pictures_are_light() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("page-*.png")) < MOST_BYTES
