"""What is installed is locked: everything that pyproject.toml asks for, by version and hash, and nothing beside it."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.lock import BESIDE, EDITABLE, IMAGE, LOCKS, Blocks, lock, read_blocks

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
SERVING: list[str] = PROJECT["project"]["dependencies"]
FILES = {path.stem: read_blocks(path.read_text("utf-8")) for path in LOCKS.glob("*.txt")}
WANTED: dict[tuple[str, ...], list[str]] = {
    ("service",): [word for word in SERVING if not word.startswith("torch")],
    ("build",): [*PROJECT["build-system"]["requires"], EDITABLE],
    ("service", "development"): EXTRAS["dev"],
    ("service", "image"): [word for extra in IMAGE for word in EXTRAS[extra]],
    **{("service", "development", name): EXTRAS[name] for name in BESIDE},
}
INSTALLING = ("Makefile", "Dockerfile", "action.yml", "deploy/gitlab-ci.yml")


def version_in(block: str) -> str:
    return re.split(r"[=\s;]+", block)[1]


def test_every_extra_that_is_for_development_has_a_file() -> None:
    served = {"azure", "gcs", "grpc", "onnx", "postgres", "s3", "timm"}
    assert set(EXTRAS) == {"dev", *served, *BESIDE}, "an extra has no file: BESIDE in deploy/lock.py"
    assert set(FILES) == {"torch", "service", "build", "development", "image", *BESIDE}


@pytest.mark.parametrize("names", WANTED, ids=" and ".join)
def test_what_is_asked_for_is_locked_in_a_version_that_is_allowed(names: tuple[str, ...]) -> None:
    locked: Blocks = {package: block for name in names for package, block in FILES[name].items()}
    for words in WANTED[names]:
        wanted = Requirement(words)
        package = canonicalize_name(wanted.name)
        assert package in locked, f"{package} is not locked: `make lock`"
        assert version_in(locked[package]) in wanted.specifier, f"{words} is locked otherwise: `make lock`"


def test_torch_has_a_version_and_stands_alone() -> None:
    assert list(FILES["torch"]) == ["torch"]
    [torch] = [Requirement(word) for word in SERVING if word.startswith("torch")]
    assert version_in(FILES["torch"]["torch"]) in torch.specifier
    others = [package for name, blocks in FILES.items() if name != "torch" for package in blocks]
    assert not [package for package in others if re.match(r"torch$|triton|nvidia|cuda", package)]


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"torch"}))
def test_everything_has_hashes_and_no_place(name: str) -> None:
    assert all("--hash=sha256:" in block for block in FILES[name].values())
    assert not re.findall(r"://|--\w*index|--find-links|@ ", (LOCKS / f"{name}.txt").read_text("utf-8"))


def test_two_files_have_a_package_in_one_version() -> None:
    whole = [(package, block) for blocks in FILES.values() for package, block in blocks.items()]
    assert len(set(whole)) == len(dict(whole)) == len({package for package, _ in whole})


@pytest.mark.parametrize("name", INSTALLING)
def test_nothing_is_installed_but_torch_what_is_locked_and_ourselves(name: str) -> None:
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if ":=" not in line]
    steps = [line for line in lines if re.search(r"pip install --|\$\(INSTALL\w*\) --", line)]
    assert len(steps) >= 3
    for step in steps:
        assert re.search(r"/torch\.txt|--require-hashes|INSTALL_LOCKED|--no-deps", step), step
        assert "--extra-index-url" not in step


@pytest.mark.parametrize(
    ("index", "told"), [("somewhere", "/torch.txt --no-deps --index-url somewhere"), ("", "/torch.txt ")]
)
def test_torch_alone_comes_from_the_index_that_make_is_told(index: str, told: str) -> None:
    asked = ["make", "--dry-run", "--always-make", ".venv/.service", f"TORCH_INDEX={index}"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [step] = [line for line in said.splitlines() if "/torch.txt" in line]
    assert step.endswith(told)
    assert said.count("--index-url") == bool(index)


def test_a_project_is_locked_by_what_each_part_of_it_needs() -> None:
    needs = {
        "a": ["a", "shared"],
        "torch": ["torch", "nvidia-x", "shared"],
        "tool": ["tool", "shared"],
        "hatchling": ["hatchling"],
        "editables": ["editables"],
        **{extra: [extra] for extra in (*BESIDE, *IMAGE)},
    }

    def resolve(requirements: str, known: str) -> Blocks:
        packages = {package for word in requirements.splitlines() for package in needs[re.split("[<>=]", word)[0]]}
        assert known == "known" or "shared==1" in known
        return {package: f"{package}==1 \\\n    --hash=sha256:0" for package in packages}

    project = {
        "project": {
            "dependencies": ["a>=1", "torch>=2"],
            "optional-dependencies": {"dev": ["tool"], **{extra: [extra] for extra in (*BESIDE, *IMAGE)}},
        },
        "build-system": {"requires": ["hatchling"]},
    }
    found = {name: sorted(blocks) for name, blocks in lock(project, "known", resolve).items()}
    assert found == {
        "torch": ["torch"],
        "service": ["a", "shared"],
        "build": ["editables", "hatchling"],
        "development": ["editables", "hatchling", "tool"],
        "image": sorted(IMAGE),
        **{extra: [extra] for extra in BESIDE},
    }
