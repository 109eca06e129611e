import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.packing import npz

from service.evaluation import placing
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.placing import card_of, versions_of
from service.evaluation.report.schema import Report
from service.metrics.torch_card import TorchCard
from service.schemas import EvaluationRequest


async def report_on(bench: Bench, tmp_path: Path, device: str) -> Report:
    rng = np.random.default_rng(0)
    files = [npz(tmp_path / f"{name}.npz", {"features": rng.standard_normal((90, 12))}) for name in ("made", "real")]
    settings = bench.settings.model_copy(update={"metrics_device": device})
    return await evaluate(
        EvaluationRequest(metrics=["fid", "kid", "precision"]),
        replace(bench, settings=settings),
        report_id="r",
        generated=files[0],
        reference=files[1],
        working_dir=tmp_path,
    )


async def test_a_report_names_the_card_and_is_not_that_of_the_processor(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_open", lambda device: TorchCard(device.replace("simulated", "cpu"), least=0))
    here, there = [await report_on(bench, tmp_path, device) for device in ("cpu", "simulated")]
    assert here.versions == placing.VERSIONS
    assert there.versions.keys() == {"chapterhouse", "numpy", "torch", "card"}
    assert here.inputs_sha256 != there.inputs_sha256
    for name, entry in here.metrics.items():
        assert there.metrics[name].value == pytest.approx(entry.value, rel=1e-8)
    assert there.metrics["precision"] == here.metrics["precision"]


def test_a_card_that_cannot_be_opened_leaves_it_to_numpy_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert card_of("cuda:63") is None
    assert "CHAPTERHOUSE_METRICS_DEVICE=cuda:63 cannot be opened" in caplog.text
    assert versions_of(None) == placing.VERSIONS


def test_a_card_is_opened_once() -> None:
    assert card_of("cpu") is None
    assert card_of("simulated") is card_of("simulated")
