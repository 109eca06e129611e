from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from cli.conftest import Run
from evaluation.packing import digits, npz, pngs, zipped

from service.cli.renderings import thresholds_of
from service.errors import InvalidRequest


@pytest.mark.parametrize(
    ("thresholds", "fail_if", "held"),
    [
        (None, (), None),
        (None, ("fid>30",), "fid<=30"),
        (None, ("fid>=30", "kid < 0.1"), "fid<30,kid>=0.1"),
        ("fid<=30", ("one_nn.real<=0.6, kid>1e-3",), "fid<=30,one_nn.real>0.6,kid<=1e-3"),
    ],
)
def test_what_must_not_be_is_the_opposite_of_what_must_hold(
    thresholds: str | None, fail_if: tuple[str, ...], held: str | None
) -> None:
    assert thresholds_of(thresholds, fail_if) == held


@pytest.mark.parametrize("condition", ["fid", "fid=30", ">30", "fid>", "fid<>30", ""])
def test_a_condition_that_cannot_be_read_is_named(condition: str) -> None:
    with pytest.raises(InvalidRequest, match="--fail-if"):
        thresholds_of(None, [condition])


def test_the_report_is_written_in_every_form_and_the_verdict_is_the_exit_status(
    where: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    made = npz(tmp_path / "made.npz", {"images": digits(40, seed=2, size=2)})
    real = zipped(tmp_path / "real.zip", pngs(digits(48, seed=1, size=2)))
    files = {form: tmp_path / f"report.{form}" for form in ("markdown", "junit", "html")}
    forms = [word for form, file in files.items() for word in (f"--{form}", file)]
    result = run("evaluate", made, real, "--metrics", "fid", "--fail-if", "fid>0", *forms, *where)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[-1] == "verdict: red"
    assert "the check does not hold" in files["markdown"].read_text("utf-8")
    assert fromstring(files["junit"].read_text("utf-8")).get("failures") == "1"
    page = files["html"].read_text("utf-8")
    assert "Nearest to real samples" in page
    assert page.count("data:image/png") == 48
