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
    variable, said = f"CHAPTERHOUSE_{name.upper()}", Settings.model_fields[name].description
    wanted = f"| `{variable}` | {f'`{default_of(name)}`' if default_of(name) else ''} | {said} |"
    told = f"the table below ## Settings in README.md should have the row\n{wanted}"
    rows = [cells for cells in ROWS if f"`{variable}`" in cells[0]]
    assert len(rows) == 1, told
    assert rows[0][1].strip("`") == default_of(name) or not default_of(name), told
    assert rows[0][2] == said, told


def test_no_setting_stands_there_that_is_none() -> None:
    known = {f"CHAPTERHOUSE_{name.upper()}" for name in Settings.model_fields}
    unknown = set(re.findall(r"CHAPTERHOUSE_[A-Z_]+[A-Z]", README)) - known
    assert not unknown, f"README.md speaks of {unknown}, which are no settings"


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
    assert re.search(rf"`{method} {pattern}[`?]", README), (
        f"the table below ## HTTP in README.md has no row of `{route}`; write one that says what it is for"
    )


def commands(command: Any, words: tuple[str, ...] = ()) -> list[str]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        return [" ".join(words)]
    return [found for name, child in children.items() for found in commands(child, (*words, name))]


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert any(re.match(rf"`(chapterhouse )?{command}\b", cells[0]) for cells in ROWS), (
        f"the table below ## Commands in README.md has no row of `chapterhouse {command}`; the first line of the "
        "command's help says what it does"
    )


def test_no_command_is_named_that_is_none() -> None:
    named = re.findall(r"^\$ chapterhouse ([a-z ]+?)(?= [^a-z ]| [a-z]+-|$)", README, re.MULTILINE)
    unknown = [words for words in named if not any(f"{words} ".startswith(f"{command} ") for command in COMMANDS)]
    assert not unknown, f"README.md shows {unknown}, which `chapterhouse` does not know"


def test_every_model_of_others_is_named() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    fetched = [model_id for model_id in store.described_ids() if store.described(model_id).manifest.source is not None]
    unnamed = [model_id for model_id in fetched if f"`{model_id}`" not in README]
    assert not unnamed, f"### Weights of others in README.md does not name {unnamed}"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^\$ make (\w+)", README, re.MULTILINE))))
def test_every_make_target_exists(target: str) -> None:
    known = re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert known, f"README.md shows `make {target}`, which the Makefile does not know"


def test_the_manifest_that_it_shows_is_one() -> None:
    [written] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert Manifest.model_validate(tomllib.loads(written)).task == "features"


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.findall(r"^[A-Z]+_[A-Z_]+$", README, re.MULTILINE)
