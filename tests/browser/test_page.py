"""The page at `/` in a real browser against the real models: every view, both languages, the lines that it shows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, VIEWS, go
from browser.seeing import Seen

from service.api.documents.page import FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SEVEN = Path(__file__).parent.parent / "data" / "seven.png"
SERIOUS = {"serious", "critical"}


def findings(page: "Page") -> list[str]:
    """What axe-core calls serious."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="`make browser` installs it").Axe()
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in SERIOUS]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_does_what_it_is_for(open_page: Open, url: str, view: str, scheme: str) -> None:
    seen = open_page(color_scheme=scheme)
    page = go(seen, url, view)
    PATHS[view](page)
    assert findings(page) == []
    assert seen.complaints == []
    assert seen.elsewhere(url) == set()


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_shows_a_view_in_chinese_and_scrolls_one_way_only(open_page: Open, url: str, view: str) -> None:
    seen = open_page(**{**PHONE, "locale": "zh-CN"})
    page = go(seen, url, view)
    words = json.loads((FOLDER / "words" / "zh.json").read_text("utf-8"))
    assert page.locator("h1").inner_text() == words[f"{view}.title"]
    page.wait_for_load_state("networkidle") if view != "service" else page.wait_for_selector(".numbers .big")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert seen.complaints == []


def test_the_language_can_be_switched_and_stays(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.click("#language")
    page.wait_for_selector("html[lang=zh-Hans]")
    page.reload()
    page.wait_for_selector("html[lang=zh-Hans]")
    assert page.locator("#language").inner_text() == "English"


def test_a_digit_is_drawn_by_keyboard_alone(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.locator(".pad").focus()
    for key in [*["ArrowLeft"] * 3, " ", *["ArrowDown"] * 15, " "]:
        page.keyboard.press(key)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert "1" in page.locator(".said .label").all_inner_texts()


def test_two_evaluations_are_compared(seen: Seen, url: str) -> None:
    page = go(seen, url, "measure")
    PATHS["measure"](page)
    page.fill("#thresholds", "fid<=0.001")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.wait_for_selector(".report .verdict.bad")
    newest = page.locator(".report header code").inner_text()
    page.wait_for_selector(f"tbody tr:first-child button >> text={newest}")  # the list is that of now
    boxes = page.locator("tbody input[type=checkbox]")
    for place in (0, 1):
        boxes.nth(place).check()
    page.get_by_role("button", name="Compare the two").click()
    page.wait_for_selector("h2 >> text=Two evaluations")
    assert "overlap" in page.locator(".report tbody tr").first.inner_text()
    assert seen.complaints == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the lines take: an image, samples, a series."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "digit.png").write_bytes(SEVEN.read_bytes())
    np.savez(folder / "samples.npz", images=np.random.default_rng(0).integers(0, 256, (600, 28, 28, 1), np.uint8))
    series = np.sin(np.arange(160) / 9)
    (folder / "series.csv").write_text("\n".join(map(str, series)))
    (folder / "series.json").write_text(json.dumps({"history": series.tolist(), "horizon": 12, "fit": True}))
    return folder


@pytest.mark.parametrize("way", ["curl", "python", "command"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_lines_that_a_view_shows_do_the_same(seen: Seen, url: str, folder: Path, view: str, way: str) -> None:
    if (view, way) == ("inside", "command"):
        pytest.skip("it looks through a dataset, which is not there")
    page = go(seen, url, view)
    page.click(f"#same-{way}")
    page.wait_for_selector("#same-code code:not(:empty)")
    text = page.locator("#same-code").inner_text()
    assert url in text or (view, way) == ("service", "command")
    if way == "python":
        run = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return
    for line in text.splitlines():
        line = line.replace("curl -sS ", "curl -sSf ") if way == "curl" else f"{sys.executable} -m service{line[12:]}"
        run = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
        assert run.returncode in ((0, 1) if view == "measure" else (0,)), line + run.stderr  # 1: the threshold failed
