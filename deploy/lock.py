"""Writes deploy/locks: which version of every package is installed, and the hashes of its files.

    python -m deploy.lock              # what pyproject.toml asks for; what is locked already keeps its version
    python -m deploy.lock --upgrade    # the newest version of everything that it allows

`torch.txt` names torch's version alone: its wheels, and those of CUDA's libraries, come from one index or another, each
with hashes of its own. `service.txt` has everything else that serving takes, `build.txt` what makes the wheel, and the
others what they need beside `development.txt`, as that does beside `service.txt`; `image.txt` is what the image has
beside `service.txt`, since whoever runs it adds no package. All of them agree, and hold for every platform and every
Python from the oldest that pyproject.toml allows.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "deploy" / "locks"
OLDEST_PYTHON = "3.11"
EDITABLE = "editables>=0.5"
"""What hatchling takes to install a checkout in place."""
BESIDE = (
    "browser",
    "docs",
    "fuzz",
    "kubernetes",
    "mutants",
    "notebook",
    "openvino",
    "own",
    "pods",
    "series",
    "supply",
    "traces",
)
"""The extras that have a file of their own beside `development`."""
IMAGE = ("azure", "gcs", "postgres", "s3")
"""The extras that the image brings along."""
HEAD = "# Written by `python -m deploy.lock`.\n"
_UNLOCKED = re.compile(r"(?:torch|triton|(?:nvidia|cuda)-[\w-]+)$")

Blocks = dict[str, str]
"""Of each package its version and its hashes, as the lines of a file of requirements."""


def resolve(requirements: str, known: str) -> Blocks:
    """Every package that these need; versions among what is `known` are kept where they can be."""
    with tempfile.TemporaryDirectory() as directory:
        wanted, output = Path(directory) / "wanted.in", Path(directory) / "locked.txt"
        wanted.write_text(requirements, "utf-8")
        output.write_text(known, "utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        command += ["--python-version", OLDEST_PYTHON, "--no-header", "--no-annotate", "--no-emit-index-url"]
        subprocess.run([*command, str(wanted), "--output-file", str(output)], check=True, stdout=subprocess.DEVNULL)
        return read_blocks(output.read_text("utf-8"))


def read_blocks(text: str) -> Blocks:
    """The blocks of a file of requirements, by the names of their packages."""
    blocks = re.findall(r"^[\w.-]+==[^\n]*(?:\n    --hash=[^\n]*)*", text, re.MULTILINE)
    return {block.partition("==")[0]: block for block in blocks}


def lock(project: dict[str, Any], known: str, resolve: Callable[[str, str], Blocks] = resolve) -> dict[str, Blocks]:
    """What each file holds, for a project as pyproject.toml describes it."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    serving = project["project"]["dependencies"]
    building = [*project["build-system"]["requires"], EDITABLE]
    whole = resolve("\n".join([*serving, *building, *(word for extra in extras.values() for word in extra)]), known)
    pins = "\n".join(whole.values())

    def names(*words: Collection[str]) -> set[str]:
        return resolve("\n".join(word for some in words for word in some), pins).keys() - unlocked

    unlocked = {name for name in whole if _UNLOCKED.fullmatch(name)}
    served, developed = names(serving), names(serving, extras["dev"], building)
    chosen = {
        "service": served,
        "build": names(building),
        "development": developed - served,
        "image": names(serving, *(extras[extra] for extra in IMAGE)) - served,
        **{extra: names(serving, extras["dev"], building, extras[extra]) - developed for extra in BESIDE},
    }
    files = {name: {package: whole[package] for package in sorted(some)} for name, some in chosen.items()}
    return {"torch": {"torch": whole["torch"].partition(" ")[0]}, **files}


def main() -> None:
    """Lock."""
    parser = argparse.ArgumentParser(prog="python -m deploy.lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest version of everything")
    upgrade = parser.parse_args().upgrade
    known = "" if upgrade else "".join(path.read_text("utf-8") for path in sorted(LOCKS.glob("*.txt")))
    for name, blocks in lock(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")), known).items():
        (LOCKS / f"{name}.txt").write_text("\n".join([HEAD, *blocks.values(), ""]), "utf-8")


if __name__ == "__main__":
    main()
