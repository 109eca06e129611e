"""The lines that the page shows for shell, Python and command are right: their words, fields and options exist."""

import ast
import inspect
import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer
from fastapi.routing import APIRoute
from pydantic import BaseModel

import chapterhouse
from service.api.app import ROUTERS
from service.api.documents.page import FOLDER
from service.cli import app
from service.schemas import ForecastRequest, GenerateRequest

RECIPES: dict[str, dict[str, list[str]]] = json.loads((FOLDER / "recipes.json").read_text("utf-8"))
VIEWS = sorted(path.stem for path in (FOLDER / "views").glob("*.js"))
VALUES = {
    "url": "http://127.0.0.1:8000",
    "model": "lenet5-mnist",
    "top_k": "3",
    "generator": "gan-mnist",
    "seed": "1",
    "count": "16",
    "steps": "24",
    "method": "saliency",
    "layer": "C3",
    "unit": "0",
    "points": "gan-ring",
    "forecaster": "esn-mackey-glass",
    "horizon": "40",
    "reference": "mnist-test",
    "id": "874ee9faa285da0a",
}
REQUESTS: dict[str, type[BaseModel]] = {"/generate": GenerateRequest, "/forecast": ForecastRequest}


def lines(view: str, way: str) -> str:
    text = "\n".join(RECIPES[view][way])
    filled = re.sub(r"\{(\w+)\}", lambda match: VALUES.get(match[1], match[0]), text)
    assert filled.strip()
    return filled


def test_every_view_has_all_three_ways() -> None:
    assert sorted(RECIPES) == VIEWS
    assert all(sorted(ways) == ["command", "curl", "python"] for ways in RECIPES.values())


def route_of(method: str, path: str) -> APIRoute:
    every = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return next(route for route in every if method in (route.methods or ()) and route.path_regex.fullmatch(path))


@pytest.mark.parametrize("view", VIEWS)
def test_curl_asks_for_what_there_is(view: str) -> None:
    for line in lines(view, "curl").replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        assert words[0] == "curl"
        url = urlsplit(next(word for word in words if word.startswith("http")))
        sends = {"-d", "-F", "--data-binary"} & set(words)
        route = route_of("POST" if sends else "GET", url.path)
        declared = {field.alias for field in route.dependant.query_params}
        assert {name for name, _ in parse_qsl(url.query)} <= declared
        if "-d" in words:
            REQUESTS[url.path].model_validate_json(words[words.index("-d") + 1])


@pytest.mark.parametrize("view", VIEWS)
def test_python_calls_what_there_is(view: str) -> None:
    tree = ast.parse(lines(view, "python"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "chapterhouse":
            assert all(hasattr(chapterhouse, name.name) for name in node.names)
        if isinstance(node, ast.Call) and (called := re.fullmatch(r"client\.(\w+)", ast.unparse(node.func))):
            method: Any = getattr(chapterhouse.Client, called[1])
            named = {word.arg: None for word in node.keywords if word.arg}
            inspect.signature(method).bind(None, *node.args, **named)


@pytest.mark.parametrize("view", VIEWS)
def test_the_command_understands_its_options(view: str) -> None:
    for line in lines(view, "command").splitlines():
        program, name, *rest = shlex.split(line)
        assert program == "chapterhouse"
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command, name, rest = command.commands[name], rest[0] if rest else "", rest[1:] if rest else rest
            if not hasattr(command, "commands"):
                rest = [word for word in [name, *rest] if word]
        command.make_context("chapterhouse", rest)
