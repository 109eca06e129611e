"""README.md and the pages of tables are so: each setting, route and command has a row, and what is named exists."""

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
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md"))
}
GUIDES = {"README": README, "CONTRIBUTING": (ROOT / "CONTRIBUTING.md").read_text("utf-8"), **PAGES}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

every_guide = pytest.mark.parametrize("name", GUIDES)


def rows_of(page: str) -> list[list[str]]:
    """The cells of every line of a page's tables."""
    lines = [line for line in PAGES[page].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_it_is_read_in_minutes() -> None:
    assert len(README.splitlines()) <= 200, "README.md is where one begins; tables and details stand in docs/"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_found_from_a_page(page: str) -> None:
    others = "".join(text for name, text in GUIDES.items() if name != page)
    assert re.search(rf"\]\((?:docs/)?{re.escape(page)}\.md[)#]", others), f"nothing leads to docs/{page}.md"


def test_the_start_in_chinese_shows_the_same_commands_and_the_same_python() -> None:
    shown = re.compile(r"^```(?:console|python)\n.*?^```$", re.MULTILINE | re.DOTALL)
    assert shown.findall(PAGES["start-zh"]) == shown.findall(README)


def test_every_word_of_the_glossary_stands_there_in_both_languages() -> None:
    _, _, *words = rows_of("glossary")
    assert len(words) > 40
    for term, chinese, means, said in words:
        assert all(not re.search(r"[\u4e00-\u9fff]", cell) and cell for cell in (term, means)), term
        assert all(re.search(r"[\u4e00-\u9fff]", cell) for cell in (chinese, said)), term
    english = [word[0].casefold().replace("é", "e") for word in words]
    assert english == sorted(english)


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
    told = f"the table in docs/settings.md should have the row\n{wanted}"
    rows = [cells for cells in rows_of("settings") if f"`{variable}`" in cells[0]]
    assert len(rows) == 1, told
    assert rows[0][1].strip("`") == default_of(name) or not default_of(name), told
    assert rows[0][2] == said, told


@every_guide
def test_no_setting_stands_there_that_is_none(name: str) -> None:
    known = {f"CHAPTERHOUSE_{setting.upper()}" for setting in Settings.model_fields}
    unknown = set(re.findall(r"CHAPTERHOUSE_[A-Z_]+[A-Z]", GUIDES[name])) - known
    assert not unknown, f"{name}.md speaks of {unknown}, which are no settings"


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
    assert re.search(rf"`{method} {pattern}[`?]", PAGES["endpoints"]), (
        f"the table in docs/endpoints.md has no row of `{route}`; write one that says what it is for"
    )


def commands(command: Any, words: tuple[str, ...] = ()) -> list[str]:
    children: dict[str, Any] = getattr(command, "commands", {})
    if not children:
        return [" ".join(words)]
    return [found for name, child in children.items() for found in commands(child, (*words, name))]


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_named(command: str) -> None:
    assert any(re.match(rf"`(chapterhouse )?{command}\b", cells[0]) for cells in rows_of("commands")), (
        f"the table in docs/commands.md has no row of `chapterhouse {command}`; the first line of the "
        "command's help says what it does"
    )


@every_guide
def test_no_command_is_named_that_is_none(name: str) -> None:
    named = re.findall(r"^\$ chapterhouse ([a-z ]+?)(?= [^a-z ]| [a-z]+-|$)", GUIDES[name], re.MULTILINE)
    unknown = [words for words in named if not any(f"{words} ".startswith(f"{command} ") for command in COMMANDS)]
    assert not unknown, f"{name}.md shows {unknown}, which `chapterhouse` does not know"


def test_every_model_of_others_is_named() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    fetched = [model_id for model_id in store.described_ids() if store.described(model_id).manifest.source is not None]
    named = PAGES["models"] + PAGES["extractors"]
    unnamed = [model_id for model_id in fetched if f"`{model_id}`" not in named]
    assert not unnamed, f"## Weights of others in docs/models.md does not name {unnamed}"


@every_guide
def test_every_make_target_exists(name: str) -> None:
    targets = set(re.findall(r"(?:^\$ |`)make ([\w-]+)", GUIDES[name], re.MULTILINE))
    unknown = {target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)}
    assert not unknown, f"{name}.md shows `make` with {unknown}, which the Makefile does not know"


def test_the_manifest_that_is_shown_is_one() -> None:
    [written] = re.findall(r"```toml\n(.*?)```", PAGES["extractors"], re.DOTALL)
    assert Manifest.model_validate(tomllib.loads(written)).task == "features"


@every_guide
def test_nothing_is_left_to_be_filled_in(name: str) -> None:
    assert not re.findall(r"^[A-Z]+_[A-Z_]+$", GUIDES[name], re.MULTILINE)
