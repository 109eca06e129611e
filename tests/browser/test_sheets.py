"""Every view as each reader has it: on a desk and a phone, by day and by night, in both languages."""

from pathlib import Path
from typing import Any

import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, VIEWS, go
from browser.seeing import Seen
from browser.test_page import findings
from browser.test_pictures import is_like, shot
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
POCKET: dict[str, Any] = {**PHONE, "viewport": {"width": 390, "height": 844}}
READERS = [(locale, scheme) for locale in ("en-GB", "zh-CN") for scheme in ("light", "dark")]
HEIGHT = 300
GAP = 8
FAULTS = (Path(__file__).parent / "faults.js").read_text("utf-8")


@pytest.mark.parametrize("view", VIEWS)
def test_no_reader_finds_anything_cut_off_or_in_the_way(open_page: Open, url: str, view: str) -> None:
    frames = []
    for locale, scheme in READERS:
        for screen in (DESK, POCKET):
            seen = open_page(**screen, locale=locale, color_scheme=scheme)
            page = go(seen, url, view)
            PATHS[view](page)
            page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
            assert page.evaluate(FAULTS) == [], (locale, scheme, screen)
            assert findings(page) == []
            assert seen.complaints == []
            frame = shot(page)
            frames.append(frame.resize((frame.width * HEIGHT // frame.height, HEIGHT), Image.Resampling.LANCZOS))
    assert is_like(f"sheet-{view}.webp", sheet(frames))


def test_what_is_cut_off_or_in_the_way_is_found(seen: Seen) -> None:
    seen.page.set_content(
        "<!doctype html><style>div { position: absolute; left: 0; top: 20px }"
        "p { overflow: hidden; white-space: nowrap; width: 4em }"
        "span { position: absolute; left: 9000px; top: 200px }</style>"
        "<div>first words</div><div>other words</div><p>a line that has no room</p><span>far</span>"
    )
    found = "\n".join(seen.page.evaluate(FAULTS))
    for said in ("first words / other words", "cut off: a line", "outside of the window: far", "scrolls sideways"):
        assert said in found
    seen.page.set_content("<p>words</p><p>other words</p>")
    assert seen.page.evaluate(FAULTS) == []


def sheet(frames: list[Image.Image]) -> Image.Image:
    """Two readers in a row, each with desk and phone."""
    across = 4
    width = sum(frame.width for frame in frames[:across]) + (across - 1) * GAP
    rows = len(frames) // across
    found = Image.new("RGB", (width, rows * (HEIGHT + GAP) - GAP), "white")
    for row in range(rows):
        left = 0
        for frame in frames[row * across : (row + 1) * across]:
            found.paste(frame, (left, row * (HEIGHT + GAP)))
            left += frame.width + GAP
    return found
