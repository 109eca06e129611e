"""What the documents name exists: links, files, programs; the changelog has its form, the workflow runs the checks."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import __version__

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
FOLDERS = ("benchmarks", "chapterhouse", "deploy", "docs", "experiments", "models_store", "service", "tests")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
CHANGES = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "For clients")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(path: Path) -> str:
    """A document without its blocks; CONTRIBUTING.md's are of files that are not there yet."""
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    planned = re.findall(r'^```\w+ title="([^"]+)"$', path.read_text("utf-8"), re.MULTILINE)
    for name in sorted(planned, key=len, reverse=True):
        text = text.replace(name, "")
    return text


@every_document
def test_every_link_leads_somewhere(path: Path) -> None:
    links = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(path)))
    assert [link for link in links if not (path.parent / link).exists()] == []


@every_document
def test_every_link_into_a_page_finds_its_heading(path: Path) -> None:
    links = set(re.findall(r"\]\(([^)#:]*)#([^)]+)\)", prose(path)))
    missing = [f"{page}#{place}" for page, place in sorted(links) if place not in headings(path.parent / page, path)]
    assert not missing, f"{path.name} links to {missing}, where there is no such heading"


def headings(page: Path, here: Path) -> set[str]:
    """The places of a page to which a link can lead, as its headings are spelt there."""
    text = prose(here if page.is_dir() else page)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@every_document
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", prose(path)))
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    assert not missing, f"{path.name} names {missing}, which are not there"


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "Makefile", *SOURCES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_program_that_is_named_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    modules = set(re.findall(r"python -m ((?:benchmarks|deploy|experiments)[\w.]*\w)", text))
    files = set(re.findall(r"python ((?:benchmarks|deploy|experiments)/[\w/]+\.py)", text))
    files |= {f"{module.replace('.', '/')}.py" for module in modules}
    missing = [file for file in files if not (ROOT / file).exists() and not (ROOT / file[:-3] / "__main__.py").exists()]
    assert not missing, f"{path.relative_to(ROOT)} names {missing}, which are not there"


def test_the_pictures_are_light() -> None:
    kinds = (".png", ".jpg", ".svg", ".gif", ".webp")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    pictures = [ROOT / name for name in listed.split("\0") if name.endswith(kinds)]
    assert sum(path.stat().st_size for path in pictures if path.exists()) < 3_000_000


def test_the_changelog_keeps_its_form() -> None:
    versions = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert versions[0] == "[Unreleased]", "what is not released yet stands at the top of CHANGELOG.md"
    assert versions[1:], "CHANGELOG.md has no version"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    assert versions[1:] == sorted(
        versions[1:], key=lambda version: [*map(int, re.findall(r"\d+", version))], reverse=True
    )
    assert set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)) <= set(CHANGES)


def test_the_newest_version_of_the_changelog_is_the_packages() -> None:
    newest = re.findall(r"^## \[(\d[^]]*)\]", CHANGELOG, re.MULTILINE)[0]
    assert newest == __version__, "service/__init__.py and CHANGELOG.md name different versions"


def test_the_changelog_says_what_clients_have_to_change() -> None:
    section = CHANGELOG.partition(f"## [{__version__}]")[2].partition("\n## ")[0]
    assert "\n### For clients\n" in section


def test_the_project_names_its_authors() -> None:
    assert PROJECT["authors"] == [{"name": "The Chapterhouse developers"}]


def test_the_workflow_runs_the_readmes_own_check_on_the_oldest_python() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text("utf-8"))
    assert workflow[True].keys() == {"push", "pull_request"}  # YAML 1.1 takes `on` for a yes
    [job] = workflow["jobs"].values()
    steps = {step.get("uses", "").partition("@")[0]: step for step in job["steps"]}
    assert PROJECT["requires-python"] == f">={steps['actions/setup-python']['with']['python-version']}"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make check"]
    assert re.search(r"^make check$", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    assert re.search(r"^check:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
