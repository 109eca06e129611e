"""The GitHub Action and the GitLab example, parsed, and run with programs that note how they are called."""

import os
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from service.cli import app
from service.evaluation.rendering.markdown import MARK

ROOT = Path(__file__).parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: dict[str, dict[str, Any]] = {step.get("name", ""): step for step in ACTION["runs"]["steps"]}
GITLAB: dict[str, Any] = yaml.safe_load((ROOT / "deploy/gitlab-ci.yml").read_text("utf-8"))["evaluate"]
COMMAND: Any = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
OPTIONS = {option for parameter in COMMAND.params for option in parameter.opts if option.startswith("--")}

NOTING = '#!/bin/sh\nprintf "%s\\n" "$@" > "$NOTES/{name}.called"\n{rest}\n'


def programs(folder: Path, **rest: str) -> dict[str, str]:
    """An environment in which these programs only note their arguments and do `rest`."""
    for name, what in rest.items():
        (folder / name).write_text(NOTING.format(name=name, rest=what))
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.defpath}", "NOTES": str(folder)}


def noted(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.called").read_text().splitlines()


def run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", [STEPS["Evaluate"]["run"], "\n".join(GITLAB["script"])], ids=["action", "gitlab"])
def test_every_option_that_a_pipeline_uses_exists(script: str) -> None:
    lines = [line for line in script.replace("\\\n", " ").splitlines() if "curl" not in line and "pip " not in line]
    used = {option for line in lines for option in re.findall(r"[\s(](--[a-z][a-z-]*)", line)}
    assert {"--markdown", "--junit", "--html", "--fail-if"} <= used
    assert used <= OPTIONS


def test_every_input_is_described_and_used_and_no_other_is_named() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    assert set(re.findall(r"inputs\.([a-z-]+)", text)) == set(ACTION["inputs"])
    assert all(described["description"].strip() for described in ACTION["inputs"].values())
    assert all(found.get("required") or "default" in found for found in ACTION["inputs"].values())
    known = {step["id"] for step in ACTION["runs"]["steps"] if "id" in step}
    assert set(re.findall(r"steps\.([a-z]+)\.", text)) == known


def test_no_script_of_the_action_holds_what_a_caller_wrote() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert step.get("shell") == ("bash" if "run" in step else None)


@pytest.mark.parametrize("name", ["Evaluate", "Comment"])
def test_every_variable_of_a_script_is_given(name: str) -> None:
    step = STEPS[name]
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", step["run"]))
    assert used - {"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} <= set(step["env"])


def evaluated(folder: Path, rest: str, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str, str]:
    """The action's script run with these inputs: how it ended, the step's summary, its outputs."""
    written = dict.fromkeys(STEPS["Evaluate"]["env"], "") | {"SEED": "0", "OUTPUT": "out", "GENERATED": "made.npz"}
    files = {name: str(folder / name.lower()) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    environment = {**programs(folder, chapterhouse=rest), **written, **files, **inputs}
    ended = run(STEPS["Evaluate"]["run"], folder, environment)
    summary, outputs = (Path(file).read_text() if Path(file).exists() else "" for file in files.values())
    return ended, summary, outputs


def test_the_action_evaluates_shows_the_report_and_hands_on_the_status(tmp_path: Path) -> None:
    ended, summary, outputs = evaluated(
        tmp_path,
        "echo the report > out/report.md; echo '{}'; exit 1",
        REFERENCE="real images.zip",
        FAIL_IF="fid>30\n\nkid > 0.1\n",
        SERVER="http://there",
    )
    assert ended.returncode == 0, ended.stderr
    assert summary == "the report\n"
    assert outputs.splitlines() == ["status=1", "folder=out"]
    assert (tmp_path / "out/report.json").read_text() == "{}\n"
    called = noted(tmp_path, "chapterhouse")
    assert called[-3:] == ["--", "made.npz", "real images.zip"]
    pairs = list(pairwise(called))
    assert [second for first, second in pairs if first == "--fail-if"] == ["fid>30", "kid > 0.1"]
    assert ("--server", "http://there") in pairs
    assert not {"--metrics", "--thresholds", "--reference-name", "--baseline"} & set(called)


def test_a_verdict_that_could_not_be_reached_is_told_and_old_reports_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.md").write_text("of yesterday")
    _, summary, outputs = evaluated(tmp_path, "exit 2", REFERENCE_NAME="mnist-test")
    assert "could not reach a verdict" in summary
    assert "status=2" in outputs
    assert noted(tmp_path, "chapterhouse")[-2:] == ["--", "made.npz"]


def test_a_directory_of_several_lines_hands_on_nothing(tmp_path: Path) -> None:
    ended, _, outputs = evaluated(tmp_path, "exit 1", OUTPUT="out\nstatus=0")
    assert ended.returncode == 2
    assert outputs == ""
    assert "several lines" in ended.stdout


def test_an_input_is_never_run(tmp_path: Path) -> None:
    evaluated(tmp_path, "exit 0", REFERENCE="$(touch trap)", METRICS="`touch trap`", FAIL_IF="fid>1; touch trap")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(("earlier", "method", "address"), [("7", "PATCH", "comments/7"), ("", "POST", "issues/3")])
def test_the_comment_is_written_once_and_renewed_after_that(
    earlier: str, method: str, address: str, tmp_path: Path
) -> None:
    answer = f'case "$*" in *--paginate*) echo {earlier};; *) echo "$@" > "$NOTES/call";; esac'
    environment = programs(tmp_path, gh=answer) | {
        "COMMENTS": "repos/o/r/issues/3/comments",
        "COMMENT": "repos/o/r/issues/comments",
        "REPORT": "out/report.md",
    }
    ended = run(STEPS["Comment"]["run"], tmp_path, environment)
    assert ended.returncode == 0, ended.stderr
    call = shlex.split((tmp_path / "call").read_text())
    assert call[:3] == ["api", "--method", method]
    assert address in call[3]
    assert "body=@out/report.md" in call
    assert MARK in STEPS["Comment"]["run"]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_job_ends_as_the_verdict_says(status: int, tmp_path: Path) -> None:
    assert run(STEPS["Verdict"]["run"], tmp_path, {"STATUS": str(status)}).returncode == status


@pytest.mark.parametrize(("status", "merge_request"), [(0, ""), (1, "4")])
def test_the_example_for_gitlab_posts_the_report_and_fails_the_job(
    status: int, merge_request: str, tmp_path: Path
) -> None:
    environment = programs(
        tmp_path,
        python="",
        curl="",
        chapterhouse=f"echo the report > chapterhouse-report/report.md; exit {status}",
    ) | {
        **GITLAB["variables"],
        "CI_MERGE_REQUEST_IID": merge_request,
        "NOTE_TOKEN": "secret",
        "CI_API_V4_URL": "https://gitlab/api/v4",
        "CI_PROJECT_ID": "1",
    }
    ended = run("\n".join(GITLAB["script"]), tmp_path, environment)
    assert ended.returncode == status, ended.stderr
    assert noted(tmp_path, "chapterhouse")[:4] == ["evaluate", "samples.npz", "--reference-name", "mnist-test"]
    assert (tmp_path / "curl.called").exists() == bool(merge_request)
    if merge_request:
        assert "https://gitlab/api/v4/projects/1/merge_requests/4/notes" in noted(tmp_path, "curl")


def test_gitlab_shows_what_the_job_writes() -> None:
    script = "\n".join(GITLAB["script"])
    assert GITLAB["artifacts"]["reports"]["junit"] in script
    assert all(path in script for path in GITLAB["artifacts"]["paths"])
    assert GITLAB["artifacts"]["when"] == "always"
