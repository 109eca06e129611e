"""What README.md says is so: every setting, route and command stands in it, and what it names exists."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.routing import APIRoute

from service.api.app import ROUTERS
from service.cli import app
from service.settings import Settings
from service.store import Manifest, ModelStore

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in README.splitlines() if line.startswith("|")]


def default_of(name: str) -> str:
    """A setting's default as an operator would write it; empty where it is found out at the start."""
    field = Settings.model_fields[name]
    if field.default_factory is not None or field.default in (None, ()):
        return ""
    return str(field.default)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_its_table_with_its_default_and_what_it_is(name: str) -> None:
    [row] = [cells for cells in ROWS if f"`CHAPTERHOUSE_{name.upper()}`" in cells[0]]
    assert row[1].strip("`") == default_of(name) or not default_of(name)
    assert row[2] == Settings.model_fields[name].description


def test_no_setting_stands_there_that_is_none() -> None:
    known = {f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"CHAPTERHOUSE_[A-Z_]+[A-Z]", README)) <= known


def routes() -> list[str]:
    return sorted(
        f"{method} {route.path}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    )


@pytest.mark.parametrize("route", routes())
def test_every_route_is_named(route: str) -> None:
    method, path = route.split()
    pattern = re.escape(path) if "{" not in path else re.sub(r"\\{\w+\\}", r"\\{\\w+\\}", re.escape(path))
    assert re.search(rf"`{method} {pattern}[`?]", README)


def commands(command: Any, words: tuple[str, ...] = ()) -> list[str]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        return [" ".join(words)]
    return [found for name, child in children.items() for found in commands(child, (*words, name))]


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert any(re.match(rf"`(chapterhouse )?{command}\b", cells[0]) for cells in ROWS)


def test_no_command_is_named_that_is_none() -> None:
    named = re.findall(r"^\$ chapterhouse ([a-z ]+?)(?= [^a-z ]| [a-z]+-|$)", README, re.MULTILINE)
    assert [words for words in named if not any(f"{words} ".startswith(f"{command} ") for command in COMMANDS)] == []


def test_every_model_of_others_is_named() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    fetched = [model_id for model_id in store.described_ids() if store.described(model_id).manifest.source is not None]
    assert [model_id for model_id in fetched if f"`{model_id}`" not in README] == []


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^\$ make (\w+)", README, re.MULTILINE))))
def test_every_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    links = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_manifest_that_it_shows_is_one() -> None:
    [written] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert Manifest.model_validate(tomllib.loads(written)).task == "features"


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.findall(r"^[A-Z]+_[A-Z_]+$", README, re.MULTILINE)
