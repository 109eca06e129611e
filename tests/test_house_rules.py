"""What the house is held to: layers, lengths, names, one-line purposes, instruments with a panel each."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from waiting import PATIENCE_S

from service.telemetry.instruments import Instruments
from service.telemetry.readings import FAMILIES

ROOT = Path(__file__).parent.parent
LONGEST = 400
FILLERS = {"util", "utils", "helper", "helpers", "common", "base", "core", "manager", "managers", "misc"}
FOLDERS = ("chapterhouse", "service", "tests", "benchmarks", "experiments", "deploy")
PROGRAMS = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = [path for path in PROGRAMS if any(path.is_relative_to(ROOT / name) for name in ("chapterhouse", "service"))]
TESTS = [path for path in PROGRAMS if path.is_relative_to(ROOT / "tests")]
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_down() -> None:
    program = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"]
    answer = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " kept, 0 broken" in answer.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_no_file_is_long(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGEST, (
        f"{name_of(path)} has {lines} lines, more than {LONGEST}; give what belongs together a file"
    )


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_no_name_is_a_filler(path: Path) -> None:
    words = {word for part in path.relative_to(ROOT).with_suffix("").parts for word in re.split(r"[_.-]", part.lower())}
    assert not words & FILLERS, f"{name_of(path)}: {words & FILLERS} says nothing; name the file after what is in it"
    classes = [node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
    empty = [name for name in classes if re.search(r"(Manager|Helper|Utils?|Handler)$", name)]
    assert not empty, f"{name_of(path)}: the last word of {', '.join(empty)} says nothing; leave it out"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_one_line_that_says_what_it_is_for(path: Path) -> None:
    purpose = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0]
    where = f'{name_of(path)} does not begin with """one line that says what the module is for."""'
    assert purpose, where
    assert "\n" not in purpose, where
    assert path.read_text("utf-8").startswith('"""'), where


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_no_file_has_banners_or_promises(path: Path) -> None:
    text = path.read_text("utf-8")
    where = name_of(path)
    assert not re.search(r"^\s*#\s*[-=#*~]{4,}", text, re.MULTILINE), f"{where} has a banner; take it out"
    promise = re.search(r"#.*\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", text)
    assert not promise, f"{where} promises something: {promise and promise[0]}; do it, or take the line out"


@pytest.mark.parametrize("path", [path for path in TESTS if path.name != "waiting.py"], ids=name_of)
def test_no_test_sleeps_or_waits_for_ever(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    awaited = [  # these end with their test's time
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Await) or (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("asyncio."))
        for inner in ast.walk(node)
    ]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        said = ast.unparse(call)
        assert said == "asyncio.sleep(0)" or not re.match(r"(time|asyncio)\.sleep\(", said), f"waiting.until: {said}"
        assert call in awaited or not re.search(r"\.(wait|join)\(\)$", said), f"no limit: {said}"
        assert not re.fullmatch(r"asyncio\.to_thread\([\w.]+\.(wait|join)\)", said), f"no limit: {said}"


def test_a_wait_ends_before_its_test_and_a_test_before_the_last_resort() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    longer = re.findall(r"mark\.timeout\((\d+)\)", "".join(path.read_text("utf-8") for path in TESTS))
    assert PATIENCE_S < options["timeout"] < min(map(int, longer))
    assert max(map(int, longer)) < options["faulthandler_timeout"]


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_test_draws_anew_every_time(path: Path) -> None:
    assert not re.search(r"\b(default_rng|Random|seed)\(\)", ast.unparse(ast.parse(path.read_text("utf-8"))))


def instruments() -> dict[str, MetricWrapperBase]:
    held = Instruments()
    everything = {**vars(held), **vars(held.conditions)}
    return {name: found for name, found in everything.items() if isinstance(found, MetricWrapperBase)}


def panels(document: Any) -> list[str]:
    """Every query of a dashboard's panels."""
    if isinstance(document, dict):
        own = [document["expr"]] if isinstance(document.get("expr"), str) else []
        return own + [query for value in document.values() for query in panels(value)]
    return [query for value in document for query in panels(value)] if isinstance(document, list) else []


def dashboard_queries() -> str:
    found = [json.loads(path.read_text("utf-8"))["panels"] for path in sorted(DASHBOARDS.glob("*.json"))]
    return "\n".join(query for document in found for query in panels(document))


@pytest.mark.parametrize("name", instruments())
def test_every_instrument_has_a_panel(name: str) -> None:
    instrument = instruments()[name]
    exposed = instrument._name + ("_total" if isinstance(instrument, Counter) else "")
    assert re.search(rf"\b{exposed}(_bucket|_sum|_count)?\b", dashboard_queries()), (
        f"no panel in {DASHBOARDS.relative_to(ROOT)} shows {exposed}; add one, or do without the instrument"
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_read_at_a_scrape_has_a_panel_too(name: str) -> None:
    assert re.search(rf"\b{name}\b", dashboard_queries()), f"no panel shows {name}"
    assert FAMILIES[name].documentation.endswith(".")


def test_every_query_of_the_dashboard_asks_for_an_instrument_that_exists() -> None:
    known = {instrument._name for instrument in instruments().values()} | FAMILIES.keys()
    asked = set(re.findall(r"\bchapterhouse_\w+", dashboard_queries()))
    assert asked
    unknown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked} - known
    assert not unknown, f"panels ask for {unknown}, which service/telemetry/instruments.py does not have"


def test_the_operators_page_has_every_metric() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    counted = {found._name + ("_total" if isinstance(found, Counter) else "") for found in instruments().values()}
    rows = set(re.findall(r"^\| `(chapterhouse_\w+)` \|", page, re.MULTILINE))
    assert rows == counted | FAMILIES.keys(), "the table below ## Metrics in docs/operating.md has other rows"


def test_an_instruments_name_ends_in_its_unit() -> None:
    for instrument in instruments().values():
        assert instrument._name.startswith("chapterhouse_")
        assert not re.search(r"_(ms|milliseconds|mb|kb|percent)$", instrument._name)
        assert instrument._documentation.endswith(".")
