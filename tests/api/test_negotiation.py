from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.negotiation import choose
from service.errors import NotAcceptable

OFFERED = ("application/json", "text/markdown", "text/html", "application/xml", "application/junit+xml")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        (BROWSER, "text/html"),
        ("text/markdown", "text/markdown"),
        ("TEXT/Markdown; charset=utf-8", "text/markdown"),
        ("application/junit+xml", "application/junit+xml"),
        ("application/*", "application/json"),
        ("text/*", "text/markdown"),
        ("text/*;q=0.5, text/html", "text/html"),
        ("text/html;q=0.5, text/*", "text/markdown"),
        ("text/html;q=0.2, application/xml;q=0.7", "application/xml"),
        ("application/json;q=0, */*;q=0.1", "text/markdown"),
        ("text/html;q=0.001, nonsense", "text/html"),
        ('text/html;title="a,b;q=0";q=0.4, text/markdown;q=0.3', "text/html"),
        (" , ;q=1, text/html", "text/html"),
        ("image/png, */*;q=0.1", "application/json"),
        ("text/html; q=1.000", "text/html"),
        ("text/html;q=7, text/markdown;q=0.1", "text/markdown"),
    ],
)
def test_the_caller_gets_what_it_wants_most(accept: str, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept", ["image/png", "*/*;q=0", "text/html;q=0", "nonsense", "text/html;q=2", "*/json", '"']
)
def test_what_nobody_writes_is_refused_with_what_is_written(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"text/markdown, text/html"):
        choose(accept, OFFERED)


@given(st.text(alphabet='ab/*;=q.01, "\\', max_size=60))
def test_any_header_is_either_answered_or_refused(accept: str) -> None:
    with suppress(NotAcceptable):
        assert choose(accept, OFFERED) in OFFERED


def test_quotes_that_are_not_closed_are_looked_through_once() -> None:
    assert choose('text/html, x/y;z="' + '\\"' * (1 << 18), OFFERED) == "text/html"
    assert choose('text/html;title="a, */*', OFFERED) == "text/html"
