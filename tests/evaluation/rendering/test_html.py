import re
from html.parser import HTMLParser

import pytest
from evaluation.reporting import BROKEN, HELD, NASTY, figures, report

from service.evaluation.figures.data import Figures
from service.evaluation.rendering.html import STYLE, render_html, render_state
from service.schemas import EvaluationState

VOID = {"meta", "img", "line", "rect", "circle", "path", "polyline"}


class Page(HTMLParser):
    """What stands where on a page; raises where elements do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_says_the_verdict_and_shows_every_score_and_figure() -> None:
    page = Page(render_html(report(HELD, BROKEN), figures()))
    for words in (
        "Failed: 1 of 2 checks does not hold",
        "5,000 generated samples against 10,000 of mnist-test",
        "Fréchet distance",
        "12.35",
        "it is 0.0140135",
        "Features",
        "Classes",
        "Fréchet distance by sample size",
        "Nearest to real samples",
        "Least typical",
        "of the expectation",
        "between halves (30 and 30)",
        "What the numbers depend on",
        "c" * 64,
    ):
        assert words in page.text


@pytest.mark.parametrize(("checks", "kind"), [((), "measured"), ((HELD,), "passed"), ((BROKEN,), "failed")])
def test_the_header_has_the_colour_of_the_verdict(checks: tuple[object, ...], kind: str) -> None:
    assert f'<header class="{kind}">' in render_html(report(*checks))  # type: ignore[arg-type]


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = Page(render_html(report(), figures()))
    assert len(page.addresses) == 12
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"@import|url\(", STYLE.read_text("utf-8"))


def test_what_a_client_sent_is_text() -> None:
    text = render_html(report(warnings=(NASTY,), id="<i>"), figures())
    assert "<script" not in text
    assert "<i>" not in text
    assert NASTY.replace("\n", " ") in Page(text).text


def test_a_report_without_figures_is_still_whole() -> None:
    for shown in (None, Figures()):
        page = Page(render_html(report(HELD), shown))
        assert "12.35" in page.text
        assert "Nearest to real samples" not in page.text


def test_a_reference_without_pictures_says_so() -> None:
    page = Page(render_html(report(), figures(real_images=False)))
    assert "keeps no pictures" in page.text
    assert len(page.addresses) == 9


def test_the_page_is_made_for_light_and_dark_and_narrow_screens() -> None:
    style = STYLE.read_text("utf-8")
    assert "prefers-color-scheme: dark" in style
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", part)) for part in style.split("prefers-color-scheme")[:2])
    assert set(light) == set(dark)
    assert "width=device-width" in render_html(report())


def state(status: str, **fields: object) -> EvaluationState:
    described = {"id": "5f3a", "status": status, "progress": 0.25, "created": "now", "ended": None, "problem": None}
    return EvaluationState.model_validate({**described, **fields})


def test_an_evaluation_under_way_asks_again_by_itself() -> None:
    text = render_state(state("running"))
    assert 'content="2; url=/evaluations/5f3a"' in text
    assert "25% done" in Page(text).text


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_an_evaluation_without_a_report_says_why_and_rests(status: str) -> None:
    failure = {"type": "about:blank", "title": "The file cannot be read", "status": 422, "detail": "<b>: damaged"}
    problem = failure if status == "failed" else None
    text = render_state(state(status, problem=problem))
    assert "refresh" not in text
    assert ("<b>: damaged" if problem else "Cancelled") in Page(text).text
