"""What goes wrong is said as a person would understand it, and gone on with once it is over."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from browser.conftest import PREFIX, USUAL, Open
from browser.paths import PATHS, go, stroke
from browser.seeing import Seen
from serving import Service

from service.api.documents.page import FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SEVEN = Path(__file__).parent.parent / "data" / "seven.png"
REFUSED = {403: "scope", 404: "missing", 413: "large", 415: "kind", 422: "wrong", 500: "failed", 504: "late"}
"""The statuses with which the service refuses, and the word under which the page explains each."""


def fulfil(answer: dict[str, Any], route: "Route") -> None:
    """Answer in the place of the service."""
    route.fulfill(**answer)


def test_archives_that_cannot_be_read_are_explained(seen: Seen, url: str, tmp_path: Path) -> None:
    page = go(seen, url, "measure")
    page.wait_for_selector("#source option", state="attached")
    (tmp_path / "samples.zip").write_bytes(b"PK no archive")
    page.select_option("#source", "")
    page.set_input_files("#generated", tmp_path / "samples.zip")
    page.get_by_role("button", name="Measure", exact=True).click()
    said = page.locator(".notice.wrong").first.inner_text()
    assert "could not be measured" in said or "cannot work with this" in said
    assert page.locator(".notice.wrong .detail").first.inner_text()


def test_words_that_are_no_series_are_explained_and_the_series_stays(seen: Seen, url: str) -> None:
    page = go(seen, url, "series")
    page.wait_for_selector(".plot .forecast", state="attached")
    page.fill("#values", "one, two, three")
    page.locator("#values").blur()
    assert "at least 60 numbers" in page.locator(".notice.wrong").first.inner_text()
    assert page.locator(".plot .history").count() == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_refusal_is_said_in_words_beside_what_the_service_said(open_page: Open, url: str, language: str) -> None:
    words = json.loads((FOLDER / "words" / f"{language}.json").read_text("utf-8"))
    page = go(open_page(locale=language), url, "draw")
    page.wait_for_selector(".card")
    for status, kind in REFUSED.items():
        body = json.dumps({"title": "A title", "status": status, "detail": f"The reason of {status}."})
        answer = {"status": status, "content_type": "application/problem+json", "body": body}
        page.route("**/classify*", partial(fulfil, answer))
        page.locator("input[type=file]").first.set_input_files(SEVEN)
        page.wait_for_selector(f".notice.{kind}")
        said = page.locator(f".notice.{kind}").inner_text()
        assert words[f"error.{kind}"] in said
        assert f"The reason of {status}." in said
        assert words["again"] in said
        page.unroute("**/classify*")
        page.locator(f".notice.{kind} button").click()
        page.wait_for_selector(".strip canvas >> nth=1")


def test_an_answer_of_a_proxy_is_not_shown_as_the_page_that_it_is(seen: Seen, url: str) -> None:
    page = go(seen, url, "draw")
    page.wait_for_selector(".card")
    page.route("**/classify*", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    page.locator("input[type=file]").first.set_input_files(SEVEN)
    assert page.locator(".notice.failed").inner_text().split("\n")[0].strip() == "Something went wrong."
    assert "Bad Gateway" not in page.locator("main").inner_text()


def test_a_service_that_is_gone_is_looked_for_until_it_is_back(seen: Seen, tmp_path: Path) -> None:
    with Service(tmp_path, **USUAL) as service:
        service.wait_until_ready()
        url = service.url
        page = go(seen, url, "draw")
        page.wait_for_selector(".card")
    stroke(page)
    assert "does not answer" in page.locator("#alert .gone").first.inner_text()
    with Service(tmp_path, **USUAL, PORT=httpx.URL(url).port) as service:
        service.wait_until_ready()
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


class Guarded:
    """A service behind a prefix that asks everybody for a key, and a key for it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    create = [sys.executable, "-m", "service", "keys", "create", "reader", "--scopes", "infer"]
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHAPTERHOUSE_STATE_DIR", str(folder / "state"))
        key = subprocess.run(create, capture_output=True, text=True, check=True).stdout.split()[-1]
    with Service(folder, **USUAL, ROOT_PATH=PREFIX) as service:
        service.wait_until_ready()
        yield Guarded(service.url + PREFIX, key)


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(seen: Seen, guarded: Guarded) -> None:
    page = go(seen, guarded.url, "draw")
    for key in ("mistaken", guarded.key):
        assert "asks for a key" in page.locator(".notice.key").first.inner_text()
        page.fill("#key", key)
        page.keyboard.press("Enter")
    PATHS["draw"](page)
    assert page.evaluate("() => localStorage.length") == 0
    assert page.locator("#key-panel summary").inner_text() == "Key: in use"
    assert seen.elsewhere(guarded.url) == set()


def test_a_key_that_is_for_something_else_is_told_so_and_can_be_forgotten(seen: Seen, guarded: Guarded) -> None:
    page = go(seen, guarded.url, "draw")
    page.fill("#key", guarded.key)
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    page.goto(f"{guarded.url}/#/measure")
    assert "not meant for this" in page.locator(".notice.scope").first.inner_text()
    page.goto(f"{guarded.url}/#/service")
    page.wait_for_selector(".numbers .hint")  # queues and batches are for another key
    page.locator("#key-panel summary").click()
    page.get_by_role("button", name="Forget it").click()
    assert "asks for a key" in page.locator(".notice.key").first.inner_text()
