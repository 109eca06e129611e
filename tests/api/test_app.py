"""Every module with routes is part of the application, and every route is asked by a test."""

import re
from pathlib import Path

import pytest
from fastapi import APIRouter
from registering import modules_of
from test_readme import routes

from service import api
from service.api import documents, evaluations, inference, v2
from service.api.app import ROUTERS

HERE = Path(__file__).parent
WINGS = (api, inference, evaluations, documents, v2)


def test_every_router_is_part_of_the_application() -> None:
    for module in (module for wing in WINGS for module in modules_of(wing)):
        router = getattr(module, "router", None)
        *_, name = path = module.__name__.split(".")
        assert not isinstance(router, APIRouter) or any(router is one for one in ROUTERS), (
            f"nobody is answered by {'/'.join(path)}.py; import {name} in service/api/app.py and give {name}.router "
            "a line in ROUTERS"
        )


@pytest.mark.parametrize("route", routes())
def test_every_route_is_asked_by_a_test(route: str) -> None:
    path = re.sub(r"\\{\w+\\}", r"[^\\s\"\'/?]+", re.escape(route.split()[1]))
    folders = [HERE if wing is api else HERE / wing.__name__.rpartition(".")[2] for wing in WINGS]
    tests = [file.read_text("utf-8") for folder in folders for file in folder.glob("*.py")]
    assert any(re.search(rf"{path}[\"\'?]", text) for text in tests), (
        f"no test in tests/api asks {route}; write one for its answer and one for each of its refusals"
    )
