"""docs/architecture.md is about the code that there is: its processes, its layers, its files, its picture."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from service.__main__ import ROLES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PICTURE = ROOT / "docs" / "architecture.svg"
SVG = "{http://www.w3.org/2000/svg}"
[LAYERS] = [
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]


def table_below(heading: str) -> list[list[str]]:
    """The rows of the first table of a section, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_the_layers_are_those_of_the_contract() -> None:
    written = [re.findall(r"`(\w+)`", cells[0]) for cells in table_below("Layers")]
    held = [re.findall(r"\w+", layer) for layer in LAYERS["layers"]]
    assert written == held, (
        "the table below ## Layers in docs/architecture.md has other rows than pyproject.toml's layers"
    )


def test_every_package_has_a_layer() -> None:
    there = {
        path.stem for path in (ROOT / "service").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    layered = set(re.findall(r"\w+", " ".join(LAYERS["layers"])))
    assert there - {"__init__"} == layered, "pyproject.toml's layers and the packages of service/ are not the same"


def test_the_processes_are_the_roles_and_what_starts_them() -> None:
    named = {cells[0].strip("`"): cells[3].strip("`") for cells in table_below("Processes")}
    assert named.keys() == {"supervisor", *ROLES, "reader"}, "a front starts its own readers"
    assert all(path == f"service/processes/{role}.py" for role, path in named.items())


@pytest.mark.parametrize("process", ["supervisor", *ROLES])
def test_the_picture_shows_every_process(process: str) -> None:
    names = [text.text for text in ET.parse(PICTURE).iter(f"{SVG}text") if text.get("class") == "name"]
    assert process in names


def test_the_picture_is_small_and_loads_nothing() -> None:
    text = PICTURE.read_text("utf-8")
    assert PICTURE.stat().st_size < 20_000
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|image|foreignObject|use)\b|@import|url\((?!#)", text)
