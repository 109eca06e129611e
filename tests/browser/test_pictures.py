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
TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "page-draw": ("draw", {"viewport": {"width": 1280, "height": 1120}}),
    "page-inside": ("inside", {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "dark"}),
    "page-sample": ("sample", {"viewport": {"width": 1280, "height": 1000}}),
    "page-collapse": ("collapse", {"viewport": {"width": 1280, "height": 940}}),
    "page-phone": ("measure", {**PHONE, "viewport": {"width": 390, "height": 1180}, "color_scheme": "dark"}),
}


def taken(page: "Page", view: str) -> Image.Image:
    """The page once its main path is taken, from its top."""
    PATHS[view](page)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    return Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")


def coarse(picture: Image.Image) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.asarray(picture.convert("L").resize(COARSE, Image.Resampling.BOX), np.float64)


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_picture_looks_like_the_page(open_page: Open, url: str, name: str) -> None:
    view, told = TAKEN[name]
    seen = open_page(**told)
    found = taken(go(seen, url, view), view)
    path = FOLDER / f"{name}.png"
    if not path.exists():
        found.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    with Image.open(path) as kept:
        assert kept.size == found.size
        assert np.abs(coarse(kept.convert("RGB")) - coarse(found)).mean() < APART


def test_the_pictures_are_light() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("page-*.png")) < MOST_BYTES
