"""docs/own-models.md is so: the programs and commands of each guide run, and what they promise is there."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from service.cli import app
from service.imaging import encode_png

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own-models.md").read_text("utf-8")
BLOCK = re.compile(r'^```(?:python title="(?P<file>[^"]+)"|console)\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
NEEDED = ("skl2onnx", "sklearn", "timm")

AS_ON_A_MACHINE_OF_ONE_TORCH = """
import runpy, sys
from service.nets.outside import load_timm
load_timm()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program of a reader's, whose torchvision was built for the torch beside it, where it was not."""

Guide = Callable[..., dict[str, str]]


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guide:
    """Carries out sections of the page in an empty folder; what each command said."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CHAPTERHOUSE_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    (tmp_path / "photograph.png").write_bytes(encode_png(noise))

    def carry_out(*sections: str) -> dict[str, str]:
        said: dict[str, str] = {}
        for section in sections:
            for block in BLOCK.finditer(SECTIONS[section]):
                if block["file"]:
                    path = tmp_path / block["file"]
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(block["text"], "utf-8")
                else:
                    for line in block["text"].splitlines():
                        said[line.removeprefix("$ ")] = run(line.removeprefix("$ "), tmp_path, monkeypatch)
        return said

    return carry_out


def run(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One command; a program in a process of its own, as its reader starts it."""
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value.replace("$PWD", str(folder)))
        return ""
    program, *words = shlex.split(line)
    if program == "python":
        needs_timm = "import timm" in (folder / words[0]).read_text("utf-8")
        beginning = ["-c", AS_ON_A_MACHINE_OF_ONE_TORCH] if needs_timm else []
        command = [sys.executable, "-W", "ignore", *beginning, *words]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return result.stdout


@pytest.mark.slow
def test_a_net_of_pytorch_is_served(guide: Guide) -> None:
    said = guide("A net of PyTorch")
    assert "is what its card says" in said["chapterhouse models verify cats"]
    assert "cat" in said["chapterhouse classify --model cats photograph.png"]


@pytest.mark.slow
def test_a_generator_is_drawn_from_and_judged(guide: Guide, tmp_path: Path) -> None:
    said = guide("A DCGAN's generator, judged")
    with np.load(tmp_path / "samples.npz") as samples:
        assert samples["images"].shape == (200, 28, 28, 1)
    assert "fid" in said["chapterhouse evaluate samples.npz --reference-name mnist-test --metrics fid"]


@pytest.mark.slow
def test_a_net_in_python_is_served_in_versions(guide: Guide) -> None:
    said = guide("A net in Python", "Versions")
    lines = said["chapterhouse models alias small"].splitlines()
    assert [line.split()[1] for line in lines if "stable, 100% of requests" in line] == ["second"]
    assert len(lines) == 2
    described = json.loads(CliRunner().invoke(app, ["models", "show", "small", "--json"]).stdout)
    assert (described["version"], described["manifest"]["options"]) == ("second", {"classes": 2})


@pytest.fixture
def packages(request: pytest.FixtureRequest) -> None:
    """What the guides of others' packages need; `make own`, which installs it, fails for want of it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        without = pytest.fail if request.config.option.markexpr == "own" else pytest.skip
        without(f"`make own` installs {', '.join(missing)}")


@pytest.mark.own
def test_a_classifier_of_scikit_learn_is_served(guide: Guide, packages: None) -> None:  # noqa: ARG001
    said = guide("A classifier of scikit-learn")
    assert "8×8, grey" in next(text for line, text in said.items() if " models add " in line)


@pytest.mark.own
def test_a_mobilenet_of_timm_is_served(guide: Guide, packages: None) -> None:  # noqa: ARG001
    said = guide("A MobileNet of timm")
    added = next(text for line, text in said.items() if " models add " in line)
    assert "images 224×224, colour, pillow-bicubic" in added
    described = json.loads(CliRunner().invoke(app, ["models", "show", "my-mobilenet", "--json"]).stdout)
    assert described["manifest"]["has_features"]
    assert described["card"]["macs"] > 0


def test_every_guide_is_carried_out() -> None:
    carried = Path(__file__).read_text("utf-8")
    for section in SECTIONS:
        assert f'"{section}"' in carried, f"nothing runs the guide of {section!r}"
