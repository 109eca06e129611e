"""docs/ is a site: every page is in its navigation, and what is built of it asks nobody for anything."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.pages import OF_THE_ROOT, within_the_site

ROOT = Path(__file__).parent.parent
SITE: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))


def named(entries: Any) -> list[str]:
    """The pages of a navigation, in its order."""
    if isinstance(entries, str):
        return [entries]
    parts = entries.values() if isinstance(entries, dict) else entries
    return [page for part in parts for page in named(part)]


@pytest.mark.parametrize("page", [*PAGES, *OF_THE_ROOT.values()])
def test_every_page_is_in_the_navigation_once(page: str) -> None:
    assert named(SITE["nav"]).count(page) == 1, f"nav of mkdocs.yml has to name {page} once"


def test_nothing_is_in_the_navigation_that_is_no_page() -> None:
    assert set(named(SITE["nav"])) <= {*PAGES, *OF_THE_ROOT.values()}


def test_the_site_is_built_strictly_and_with_no_fonts_of_others() -> None:
    assert SITE["strict"] is True
    assert SITE["theme"]["font"] is False
    assert set(SITE["validation"].values()) == {"warn"}


@pytest.mark.parametrize(
    ("folder", "written", "shown"),
    [
        ("docs", "[README](../README.md#start)", "[README](index.md#start)"),
        ("docs", "[a](b.md), [c](#d)", "[a](b.md), [c](#d)"),
        ("docs/endpoints", "[a](../b.md), [c](../../README.md)", "[a](../b.md), [c](../index.md)"),
        ("docs", "see [service/metrics/](../service/metrics)", "see service/metrics/"),
        ("", "![a picture](docs/a.png) of [docs/b.md](docs/b.md)", "![a picture](a.png) of [docs/b.md](b.md)"),
        ("", "[there](https://example.org/x)", "[there](https://example.org/x)"),
        ("", "```\n[b](docs/b.md)\n```", "```\n[b](docs/b.md)\n```"),
    ],
)
def test_links_stay_within_the_site(folder: str, written: str, shown: str) -> None:
    assert within_the_site(written, folder, {"index.md", "a.png", "b.md"}) == shown


@pytest.mark.docs
def test_what_is_built_asks_nobody_for_anything(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    if "docs" not in pytestconfig.getoption("markexpr"):
        pytest.skip("`make docs` runs it")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    loads = r"<(?:script|img|iframe|source|object)\b[^>]*\b(?:src|data)=[\"']?(?:https?:)?//[^>]*>"
    styles = r"<link\b[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon)[^>]*href=[\"']?(?:https?:)?//[^>]*>"
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)
    asked = {found for page in pages for found in re.findall(f"{loads}|{styles}", page.read_text("utf-8"))}
    assert not asked
    imported = [
        path.name
        for path in tmp_path.rglob("*.css")
        if re.search(r"(?:url\(|@import)\s*[\"']?https?:", path.read_text("utf-8"))
    ]
    assert imported == []
