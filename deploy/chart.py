"""Writes deploy/kubernetes/kustomize: what the chart makes of its values, for who has no Helm.

    python -m deploy.chart

Helm is the one of `make kubernetes`, or any that is found.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = KUBERNETES / "chart"
RENDERED: dict[str, tuple[str, ...]] = {"single": (), "cluster": ("cluster",)}
"""The folders of kustomize/, and the files of values/ that each is made with."""
NAME = "chapterhouse"
"""Of the release and of its namespace."""
TOOLS = ROOT / ".kubernetes" / "bin"
"""Where `make kubernetes` puts Helm and kubectl."""
HEAD = "# Written by `python -m deploy.chart`.\n"


def tool(name: str) -> str:
    """The path of `helm` or `kubectl`. Raises FileNotFoundError."""
    found = shutil.which(name, path=str(TOOLS / name)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not here: `make kubernetes` installs it")
    return found


def rendered(*values: str, given: tuple[str, ...] = ()) -> str:
    """What the chart makes of these files of values/ and of values that are `given` as `--set` takes them."""
    files = [part for name in values for part in ("--values", str(KUBERNETES / "values" / f"{name}.yaml"))]
    sets = [part for words in given for part in ("--set", words)]
    command = [tool("helm"), "template", NAME, str(CHART), "--namespace", NAME, *files, *sets]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kustomize", text)


def read(text: str) -> Iterator[dict[str, Any]]:
    """The resources of a file."""
    return (resource for resource in yaml.safe_load_all(text) if resource)


def main() -> None:
    """Write."""
    for folder, values in RENDERED.items():
        (KUBERNETES / "kustomize" / folder / f"{NAME}.yaml").write_text(HEAD + rendered(*values), "utf-8")


if __name__ == "__main__":
    main()
