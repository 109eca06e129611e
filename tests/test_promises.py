"""docs/security.md and docs/reliability.md name tests that exist, for every promise; the tables are their record's."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks.attacks import PAGE, RECORD, with_table

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "docs" / name for name in ("security.md", "reliability.md")]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def promises(page: Path) -> list[str]:
    """The rows of a page's table of promises."""
    table = page.read_text("utf-8").partition("## Promises")[2].partition("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("|")][2:]


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = NAMED.findall(page.read_text("utf-8"))
    assert named
    missing = [
        f"{file}::{test}" for file, test in named if not (ROOT / file).is_file() or test not in functions_of(file)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_promise_names_what_defends_it_and_a_test(page: Path) -> None:
    rows = promises(page)
    assert rows
    for row in rows:
        _, promise, defence, shown, _ = row.split("|")
        assert promise.strip(), row
        assert defence.strip(), row
        assert NAMED.search(shown), row


def test_the_table_of_attacks_is_what_was_measured() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page, json.loads(RECORD.read_text("utf-8")))
