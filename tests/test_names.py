"""What the documents name exists: routes and their parameters, headers, instruments, metrics and errors."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from service import errors
from service.api.app import ROUTERS
from service.api.openapi import ANSWER_HEADERS, PARAMETER_HEADERS
from service.metrics.registry import METRICS
from service.telemetry.instruments import Instruments
from service.telemetry.readings import FAMILIES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix")
"""What proxies say: `service/api/access/proxies.py`."""
PLANNED = "/models/{id}/labels"
"""The route that CONTRIBUTING.md shows how to add."""

every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(path: Path) -> str:
    return BLOCK.sub("", path.read_text("utf-8"))


def route_of(method: str, path: str) -> APIRoute | None:
    plain = re.sub(r"[{}…]", "", path)
    return next(
        (route for route in ROUTES if method in (route.methods or ()) and route.path_regex.fullmatch(plain)), None
    )


@every_page
def test_a_route_that_is_named_is_one_and_so_are_its_parameters(path: Path) -> None:
    for method, named, query in re.findall(r"`(GET|POST|PUT|DELETE) (/[^`? ]*)(?:\?([^`]*))?`", prose(path)):
        if named == PLANNED:
            continue
        route = route_of(method, named)
        assert route is not None, f"{path.name} names {method} {named}, which there is not"
        declared = {field.alias for field in route.dependant.query_params}
        assert set(re.findall(r"([\w\[\]]+)=", query)) <= declared, f"{path.name}: {method} {named}?{query}"


@every_page
def test_a_header_of_our_own_that_is_named_is_sent_or_read(path: Path) -> None:
    known = {name.lower() for name in (*ANSWER_HEADERS, *PARAMETER_HEADERS, *FORWARDED)}
    named = set(re.findall(r"\bX-[A-Z][A-Za-z-]+", prose(path)))
    assert {name for name in named if name.lower() not in known} == set()


@every_page
def test_an_instrument_that_is_named_exists(path: Path) -> None:
    held = Instruments()
    names = [
        found._name for found in (*vars(held).values(), *vars(held.conditions).values()) if hasattr(found, "_name")
    ]
    known = {*names, *FAMILIES}
    named = set(re.findall(r"`(chapterhouse_[a-z_]+)(?:\{[^`]*)?`", prose(path)))
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in named} - known == set()


@every_page
def test_a_metric_that_is_asked_for_exists(path: Path) -> None:
    text = path.read_text("utf-8").partition("## Add a metric")[0]  # CONTRIBUTING.md asks for one that it adds
    lists = re.findall(r"(?:--metrics |\bmetrics=)([a-z_,]+)", text) + re.findall(r"\bmetrics=\[([^]]*)\]", text)
    conditions = re.findall(r"\b([a-z_]+)(?:\.[a-z_.]+)?(?:<=|>=)\d", text)
    named = {name for words in lists for name in re.findall(r"[a-z_]+", words)} | set(conditions)
    assert named <= METRICS.keys()


@every_page
def test_an_error_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r"\berrors\.([A-Z]\w+)", path.read_text("utf-8")))
    assert [name for name in sorted(named) if not hasattr(errors, name)] == []
