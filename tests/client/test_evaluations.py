import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from client.places import Awaited
from evaluation.packing import digits, npy, npz, pngs, zipped
from PIL import Image
from running import running_service

from service.client.asynchronous import AsyncClient
from service.client.blocking import Client
from service.errors import (
    DeadlineExceeded,
    EvaluationNotFound,
    InvalidRequest,
    InvalidSamples,
    ReferenceNotFound,
    ReferenceShipped,
    ServiceError,
    UnreadableArchive,
)
from service.evaluation.report.schema import Report
from service.schemas import EvaluationState
from service.settings import Settings

MADE, REAL = digits(20, seed=2, size=2), digits(24, seed=1, size=2)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return npz(tmp_path / "made.npz", {"images": MADE})


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


def test_samples_may_be_anything_that_holds_some(place: Any, made: Path, real: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in pngs(MADE):
        (folder / name).write_bytes(data)
    floats = torch.from_numpy(MADE).permute(0, 3, 1, 2) / 127.5 - 1
    pillows = [Image.fromarray(image[:, :, 0]) for image in MADE]
    with made.open("rb") as opened:
        reports = [
            place.evaluate(samples, real, metrics=["fid"], seed=3, value_range=(-1, 1), layout=layout)
            for samples, layout in (
                (str(made), None),
                (made, None),
                (folder, None),
                (made.read_bytes(), None),
                (opened, None),
                (io.BytesIO(npy(tmp_path / "made.npy", MADE).read_bytes()), None),
                (MADE, None),
                (floats, "NCHW"),
                (pillows, None),
                ([*pillows[:10], *MADE[10:]], None),
                ({"images": MADE}, None),
            )
        ]
    assert len({report.fid for report in reports}) == 1
    assert {report.generated.sha256 for report in reports} == {reports[0].generated.sha256}


def test_features_and_statistics_are_samples_too(place: Any) -> None:
    rng = np.random.default_rng(0)
    made, real = rng.normal(size=(30, 3)), rng.normal(size=(40, 3))
    report = place.evaluate({"features": made}, {"features": torch.from_numpy(real)}, metrics="fid,mmd")
    assert list(report.metrics) == ["fid", "mmd"]
    statistics = {"mu": real.mean(axis=0), "sigma": np.cov(real.T)}
    assert place.evaluate({"features": made}, statistics, metrics=["fid"]).fid == pytest.approx(report.fid)
    with pytest.raises(InvalidSamples, match=r'features are named: \{"features": array\}'):
        place.evaluate(made, real)


def test_a_report_tells_what_it_was_asked(place: Any, made: Path, real: Path) -> None:
    told: list[float] = []
    report = place.evaluate(
        made,
        real,
        metrics=["fid", "mmd"],
        options={"mmd": {"sigma": 0.5, "kernel": None}},
        thresholds="fid<=0",
        intervals=False,
        seed=3,
        on_progress=told.append,
    )
    assert (report.metrics["mmd"].number("sigma"), report.seed) == (0.5, 3)
    assert not report.verdict.passed
    assert told == sorted(told)
    assert repr(report).endswith("of 20 samples on echo, failed)")
    assert "<td>fid</td>" in report._repr_html_()
    assert "<html" in place.page(report)


def test_what_was_evaluated_is_listed_followed_compared_with_and_removed(place: Any, made: Path, real: Path) -> None:
    assert place.evaluations() == []
    first = place.evaluate(made, real, metrics=["fid"])
    second = place.evaluate(made, real, metrics=["fid"], baseline=first.id)
    assert second.verdict.passed
    assert [state.id for state in place.evaluations()] == [second.id, first.id]
    assert [state.id for state in place.evaluations(limit=1)] == [second.id]
    assert place.evaluation(first.id) == first
    states = list(place.follow(first.id))
    assert states[-1].status == "finished"
    assert repr(states[-1]) == f"EvaluationState({first.id}: finished, 100%)"
    place.delete_evaluation(first.id)
    for ask in (place.evaluation, place.delete_evaluation, lambda name: list(place.follow(name))):
        with pytest.raises(EvaluationNotFound, match=first.id):
            ask(first.id)


def test_a_reference_is_put_compared_with_and_removed(place: Any, made: Path) -> None:
    assert place.references() == []
    put = place.put_reference("mine", REAL, features="echo", dataset="squares")
    assert (put.name, put.dataset, put.count, put.extractor) == ("mine", "squares", 24, "echo")
    assert place.references() == [put]
    assert place.reference("mine") == put
    assert repr(put) == "ReferenceSummary(mine: squares seen by echo)"
    report = place.evaluate(made, "mine", metrics=["fid"])
    assert (report.reference.name, report.reference.sha256) == ("mine", put.sha256)
    place.delete_reference("mine")
    for ask in (place.reference, place.delete_reference, lambda name: place.evaluate(made, name)):
        with pytest.raises(ReferenceNotFound, match="mine"):
            ask("mine")


REFUSALS: list[tuple[Any, type[ServiceError], str]] = [
    (lambda place, real: place.evaluate(b"no archive", real), UnreadableArchive, "not a zip"),
    (lambda place, real: place.evaluate(real.parent / "nowhere", real), InvalidRequest, "does not exist"),
    (lambda place, real: place.evaluate(real, real, metrics=["beauty"]), InvalidRequest, "'beauty'"),
    (lambda place, real: place.evaluate(real, real, seed=-1), InvalidRequest, "seed: "),
    (lambda place, real: place.evaluate(real, real, baseline="nobody"), EvaluationNotFound, "nobody"),
    (lambda place, real: place.put_reference("Ä", real), InvalidRequest, "cannot name a reference"),
    (lambda place, _: place.put_reference("x", {"mu": np.ones(2)}), UnreadableArchive, "holds none of"),
]


def test_what_cannot_be_measured_is_said(place: Any, real: Path) -> None:
    for ask, error, words in REFUSALS:
        with pytest.raises(error, match=words):
            ask(place, real)


def test_what_came_with_the_store_is_not_changed(place: Any, settings: Settings) -> None:
    from service.evaluation.references import make_reference, save_reference

    rng = np.random.default_rng(0)
    shipped = make_reference(
        "shipped", rng.random((9, 4)), None, extractor="echo", weights_sha256="0", dataset="x", sha256="1"
    )
    save_reference(shipped, settings.reference_dirs[1])
    assert place.reference("shipped").shipped
    with pytest.raises(ReferenceShipped):
        place.delete_reference("shipped")
    with pytest.raises(ReferenceShipped):
        place.put_reference("shipped", REAL)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_evaluation_that_takes_long_goes_on_without_its_caller(
    kind: type[Client] | type[AsyncClient],
    settings: Settings,
    made: Path,
    real: Path,
    as_its_user: None,  # noqa: ARG001 - who stores a reference is one that may
) -> None:
    with running_service(settings, evaluating=False) as address:
        place: Any = Client(address) if kind is Client else Awaited(AsyncClient(address))
        with pytest.raises(DeadlineExceeded, match=f"GET {address}/evaluations/") as ended:
            place.evaluate(made, real, wait_s=0)
        evaluation_id = str(ended.value).partition("/evaluations/")[2].split()[0]
        state = place.evaluation(evaluation_id)
        assert isinstance(state, EvaluationState)
        assert state.status == "queued"
        with pytest.raises(DeadlineExceeded):
            place.put_reference("late", REAL, wait_s=0)
        assert [state.kind for state in place.evaluations()] == ["reference", "evaluation"]
        place.close()


def test_a_wait_here_has_an_end_too(settings: Settings, made: Path, real: Path) -> None:
    from service.local.blocking import Local

    with Local(settings) as local, pytest.raises(DeadlineExceeded, match="not over after 0 s"):
        local.evaluate(made, real, wait_s=0)


def test_a_report_in_a_file_is_a_baseline_here(settings: Settings, made: Path, real: Path, tmp_path: Path) -> None:
    from service.local.blocking import Local

    with Local(settings) as local:
        report = local.evaluate(made, real, metrics=["fid"])
        assert isinstance(report, Report)
        kept = tmp_path / "kept.json"
        kept.write_text(report.model_dump_json())
        again = local.evaluate(made, real, metrics=["fid"], baseline=str(kept))
        assert again.verdict is not None
        assert again.verdict.checks[0].baseline is not None
