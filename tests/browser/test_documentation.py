"""The pages of the documentation in a real browser (Debian's Chromium): they work, and ask nobody but the service."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Service

playwright = pytest.importorskip("playwright.sync_api", reason="`make browser` installs it")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module", autouse=True)
def wanted(pytestconfig: pytest.Config) -> None:
    """A browser is started only where that is asked for."""
    if "browser" not in pytestconfig.getoption("markexpr"):
        pytest.skip("`make browser` runs it")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as service:
        service.wait_until_ready()
        yield service


class Seen:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"not loaded: {request.url}"))
        page.on("request", lambda request: self.asked.add(request.url))

    def elsewhere(self, url: str) -> set[str]:
        """What it asked of others."""
        return {asked for asked in self.asked if not asked.startswith((url, "data:", "blob:"))}


@pytest.fixture
def seen() -> Iterator[Seen]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield Seen(browser.new_page(viewport={"width": 1280, "height": 900}))
        browser.close()


def test_swagger_ui_shows_every_operation_and_tries_one(service: Service, seen: Seen, tmp_path: Path) -> None:
    page = seen.page
    page.goto(f"{service.url}/docs")
    page.wait_for_selector("#operations-models-classify")
    assert page.locator(".opblock").count() > 20
    page.click("#operations-operations-live .opblock-summary-control")
    page.click("#operations-operations-live .try-out__btn")
    page.click("#operations-operations-live .execute")
    page.wait_for_selector("#operations-operations-live .live-responses-table >> text=200")
    page.screenshot(path=tmp_path / "docs.png")
    assert not seen.complaints
    assert not seen.elsewhere(service.url)


def test_redoc_shows_every_operation_in_its_own_style(service: Service, seen: Seen, tmp_path: Path) -> None:
    page = seen.page
    page.goto(f"{service.url}/redoc")
    page.wait_for_selector("h2 >> text=Classify")
    assert page.locator("[data-section-id^='tag/models/operation']").count() > 5
    # The menu stands beside the text: the sheets that it writes are taken.
    assert page.locator(".menu-content").bounding_box()["width"] < 400
    page.screenshot(path=tmp_path / "redoc.png")
    assert not seen.complaints
    assert not seen.elsewhere(service.url)
