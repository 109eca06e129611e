"""The page at `/` in a real browser against the real models: every view, both languages, and what goes wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser.conftest import Open
from browser.paths import PATHS, PHONE, VIEWS, go, stroke
from browser.seeing import Seen

from service.api.page import FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

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


def test_an_image_is_opened_and_pasted(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.locator("input[type=file]").first.set_input_files(SEVEN)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert "Nothing had to be done." in page.locator(".strip").inner_text()


def test_a_file_that_is_no_image_is_named(seen: Seen, url: str, tmp_path: Path) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    (tmp_path / "letter.txt").write_text("not an image")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "letter.txt")
    assert "“letter.txt” is no image" in page.locator(".notice").first.inner_text()


def test_archives_that_cannot_be_read_are_explained(seen: Seen, url: str, tmp_path: Path) -> None:
    page = go(seen, url, "measure")
    page.wait_for_selector("#source option", state="attached")
    (tmp_path / "samples.zip").write_bytes(b"PK no archive")
    page.select_option("#source", "")
    page.set_input_files("#generated", tmp_path / "samples.zip")
    page.get_by_role("button", name="Measure", exact=True).click()
    assert page.locator(".notice.wrong .detail").first.inner_text()


def test_a_service_that_is_gone_is_looked_for_until_it_is_back(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.route("**/classify*", lambda route: route.abort("connectionrefused"))
    page.route("**/health/live", lambda route: route.abort("connectionrefused"))
    stroke(page)
    assert "does not answer" in page.locator("#alert .gone").first.inner_text()
    page.unroute("**/classify*")
    page.unroute("**/health/live")
    page.wait_for_selector("#alert .gone", state="detached")
    page.locator(".notice button").click()
    page.wait_for_selector(".strip canvas >> nth=1")


def test_a_full_queue_is_waited_for(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    told = json.dumps({"title": "Too many requests are waiting", "status": 429, "detail": "The queue is full."})
    full: list[str] = []

    def refuse(route: "Route") -> None:
        if len(full) < 4:  # the first ask of each net
            full.append(route.request.url)
            route.fulfill(status=429, headers={"retry-after": "1"}, content_type="application/problem+json", body=told)
        else:
            route.continue_()

    page.route("**/classify*", refuse)
    page.locator("input[type=file]").first.set_input_files(SEVEN)
    assert "busy" in page.locator(".notice.busy").first.inner_text()
    page.wait_for_selector(".strip canvas >> nth=1")
    assert page.locator(".notice").count() == 0


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(seen: Seen, url: str) -> None:
    page = seen.page
    told = json.dumps({"title": "A key is needed", "status": 401, "detail": "Send a key."})

    def guard(route: "Route") -> None:
        if route.request.headers.get("authorization") == "Bearer secret":
            route.continue_()
        else:
            route.fulfill(status=401, content_type="application/problem+json", body=told)

    page.route("**/models", guard)
    go(seen, url, "draw")
    assert "asks for a key" in page.locator(".notice.key").first.inner_text()
    page.fill("#key", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    assert page.evaluate("() => localStorage.length") == 0
    assert page.locator("#key-panel summary").inner_text() == "Key: in use"


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


def test_photographs_are_asked_of_nets_that_know_them(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.get_by_label("photographs", exact=True).check()
    page.locator("input[type=file]").first.set_input_files(SEVEN)
    page.wait_for_selector(".strip canvas >> nth=1")
    assert page.locator(".said .label.long").count() == page.locator(".card").count()
    assert "It was resized from 28×28 to 32×32." in page.locator(".strip").inner_text()


def test_print_leaves_out_what_only_a_screen_needs(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.emulate_media(media="print")
    assert not page.locator("#contents").is_visible()
    assert page.locator("h1").is_visible()


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
