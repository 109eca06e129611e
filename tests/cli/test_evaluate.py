import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.conftest import Run
from evaluation.packing import digits, npz, pngs, zipped

from service.evaluation.references import make_reference, save_reference
from service.settings import Settings
from service.store import ModelStore

MADE, REAL = digits(20, seed=2, size=2), digits(24, seed=1, size=2)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return npz(tmp_path / "made.npz", {"images": MADE})


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


def unpacked(folder: Path, images: Any) -> Path:
    """A directory with images in two sub-directories and a hidden file."""
    for place, (name, data) in enumerate(pngs(images)):
        target = folder / str(place % 2) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (folder / ".hidden").write_text("not to be looked at")
    return folder


def measured(text: str) -> dict[str, Any]:
    """A report without what differs from one run to the next."""
    report: dict[str, Any] = json.loads(text)
    for side in ("generated", "reference"):
        del report[side]["understood"]  # a zip is another file than an npz
    return {name: value for name, value in report.items() if name not in ("id", "timing", "reused")}


def test_a_report_is_the_same_here_and_over_http_from_files_and_from_directories(
    run: Run, server: str, made: Path, real: Path, tmp_path: Path
) -> None:
    folders = unpacked(tmp_path / "made", MADE), unpacked(tmp_path / "real", REAL)
    reports = []
    for generated, reference in ((made, real), folders):
        for where in ((), ("--server", server)):
            result = run("evaluate", generated, reference, "--metrics", "fid,mmd", "--json", *where)
            assert result.exit_code == 0, result.output
            reports.append(measured(result.stdout))
    assert list(reports[0]["metrics"]) == ["fid", "mmd"]
    assert reports[0]["verdict"] is None
    assert all(report == reports[0] for report in reports)


@pytest.mark.parametrize(("thresholds", "status", "colour"), [("fid<=1e9", 0, "green"), ("fid<=0,fid>=0", 1, "red")])
def test_the_verdict_is_the_exit_status(
    thresholds: str, status: int, colour: str, where: tuple[str, ...], run: Run, made: Path, real: Path
) -> None:
    result = run("evaluate", made, real, "--metrics", "fid", "--thresholds", thresholds, *where)
    assert result.exit_code == status, result.output
    assert result.stdout.splitlines()[-1] == f"verdict: {colour}"
    assert "20 samples against 24 samples of the reference sent" in result.stdout


def test_a_stored_reference_options_and_a_seed_reach_the_report(
    run: Run, made: Path, local_settings: Settings, store: ModelStore
) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 30)
    reference = make_reference(
        "real-test",
        rng.random((30, 4)),
        probabilities,
        extractor="echo",
        weights_sha256=store.get("echo").weights_sha256 or "",
        dataset="noise",
        sha256="1",
    )
    save_reference(reference, local_settings.reference_dirs[0])
    result = run(
        "evaluate", made, "--reference-name", "real-test", "--metrics", "mmd", "--option", "mmd.sigma=0.5", "--seed", 7
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "30 samples of real-test (noise)" in result.stdout
    assert "seed 7" in result.stdout
    assert "sigma 0.5" in result.stdout


def test_intervals_can_be_left_out(where: tuple[str, ...], run: Run, made: Path, real: Path) -> None:
    result = run("evaluate", made, real, "--metrics", "fid", "--no-intervals", "--json", *where)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["metrics"]["fid"]["interval"] is None


def test_a_baseline_is_a_report_that_was_kept(
    where: tuple[str, ...], run: Run, made: Path, real: Path, tmp_path: Path
) -> None:
    asked = (real, "--metrics", "fid,mmd", *where)
    kept = tmp_path / "main.json"
    kept.write_text(run("evaluate", made, *asked, "--json").stdout)
    same = run("evaluate", made, *asked, "--baseline", kept)
    assert same.exit_code == 0, same.output
    assert same.stdout.splitlines()[-1] == "verdict: green"
    name = json.loads(kept.read_text())["id"]
    assert f"held    fid not worse than {name}" in same.stdout
    assert "+0 from" in same.stdout
    worse = npz(tmp_path / "worse.npz", {"images": np.full_like(MADE, 255) - MADE // 64})
    found = run("evaluate", worse, *asked, "--baseline", kept)
    assert found.exit_code == 1, found.output
    assert f"failed  fid not worse than {name}" in found.stdout
    refused = run("evaluate", made, *asked, "--baseline", kept, "--seed", 3)
    assert (refused.exit_code, "with the seed 0, not 3" in refused.stderr) == (2, True)
    unknown = run("evaluate", made, *asked, "--baseline", "nobody")
    assert (unknown.exit_code, "nobody" in unknown.stderr) == (2, True)


def test_unreadable_files_can_be_skipped(run: Run, real: Path, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "made", MADE)
    (folder / "notes.png").write_text("no image")
    refused = run("evaluate", folder, real, "--metrics", "fid")
    assert refused.exit_code == 2
    assert "notes.png" in refused.stderr
    skipped = run("evaluate", folder, real, "--metrics", "fid", "--skip-unreadable")
    assert skipped.exit_code == 0
    assert "warning: 1 of 21 files could not be read and was skipped" in skipped.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metrics", "beauty"), "There is no metric called 'beauty'"),
        (("--metrics", "fid", "--thresholds", "mmd<=1"), "mmd is not among the metrics"),
        (("--metrics", "mmd", "--option", "mmd.sigma=-1"), "mmd.sigma: Input should be greater than 0"),
        (("--features", "nobody"), "There is no model called 'nobody'"),
        (("--features", "doodle"), "doodle does generate"),
    ],
    ids=["metric", "threshold", "option", "extractor", "wrong task"],
)
def test_what_cannot_be_measured_ends_with_2_and_one_sentence(
    arguments: tuple[str, ...], words: str, where: tuple[str, ...], run: Run, made: Path, real: Path
) -> None:
    result = run("evaluate", made, real, *arguments, *where)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give REFERENCE or --reference-name NAME"),
        (("--reference-name", "x", "y"), "and not both"),
        (("--reference-name", "x", "--option", "sigma=3"), "write it as METRIC.NAME=VALUE"),
        (("--reference-name", "nobody"), "no stored reference called 'nobody'"),
        (("nowhere.zip",), "nowhere.zip does not exist"),
        (("--reference-name", "x", "--server", "http://127.0.0.1:{}"), "http://127.0.0.1:{} cannot be reached"),
    ],
    ids=["no reference", "two references", "option", "stored reference", "no file", "no server"],
)
def test_what_cannot_be_asked_is_said(
    arguments: tuple[str, ...], words: str, run: Run, made: Path, silent_port: int
) -> None:
    result = run("evaluate", made, *(argument.format(silent_port) for argument in arguments))
    assert result.exit_code == 2
    assert words.format(silent_port) in result.stderr


def test_an_empty_directory_is_no_set_of_samples(run: Run, real: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("evaluate", tmp_path / "empty", real)
    assert (result.exit_code, result.stderr) == (2, f"chapterhouse: {tmp_path / 'empty'} holds no files.\n")


def test_a_wait_that_is_over_ends_with_2(run: Run, made: Path, real: Path) -> None:
    result = run("evaluate", made, real, "--wait", 0)
    assert result.exit_code == 2
    assert "not over after 0 s" in result.stderr
