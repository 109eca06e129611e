"""The pages of the documentation in a real browser (Debian's Chromium): they work, and ask nobody but the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.seeing import Seen
from serving import Service

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service")) as service:
        service.wait_until_ready()
        yield service


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
    menu = page.locator(".menu-content").bounding_box()
    assert menu is not None
    assert menu["width"] < 400
    page.screenshot(path=tmp_path / "redoc.png")
    assert not seen.complaints
    assert not seen.elsewhere(service.url)
