from pathlib import Path

import numpy as np
import pytest
from doubles import add_card
from evaluation.packing import digits, npz, pngs, zipped

from service.errors import InvalidRequest, InvalidSamples, ModelNotFound, ReferenceNotFound, ReferenceShipped
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import References, save_reference
from service.evaluation.report.schema import Report
from service.evaluation.store_reference import StoredReference, store_reference
from service.metrics.fid import fid
from service.schemas import EvaluationRequest, ReferenceRequest

REAL = digits(60, seed=1, size=2)
MADE = digits(50, seed=2, size=2)
FEATURES = np.random.default_rng(0).normal(size=(40, 3))
COVARIANCE = np.cov(REAL.reshape(60, 4) / 255, rowvar=False)
MEAN = REAL.reshape(60, 4).mean(axis=0) / 255


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return npz(tmp_path / "made.npz", {"images": MADE})


async def keep(bench: Bench, upload: Path, tmp_path: Path, **fields: object) -> StoredReference:
    kept = await store_reference(
        ReferenceRequest.model_validate({"name": "mine", **fields}), bench, upload=upload, working_dir=tmp_path
    )
    kept.publish()
    return kept


async def report_on(bench: Bench, generated: Path, reference: Path | None, tmp_path: Path, **fields: object) -> Report:
    return await evaluate(
        EvaluationRequest.model_validate({"metrics": ("fid",), **fields}),
        bench,
        report_id="r",
        generated=generated,
        reference=reference,
        working_dir=tmp_path,
    )


async def test_images_are_kept_as_what_an_evaluation_would_see(
    bench: Bench, real: Path, made: Path, tmp_path: Path
) -> None:
    add_card(bench.settings.shipped_models_dir / "echo")
    kept = await keep(bench, real, tmp_path, features="echo", dataset="pixels")
    assert (kept.summary.count, kept.summary.dim, kept.summary.extractor) == (60, 4, "echo")
    assert bench.references.summary("mine") == kept.summary
    stored = await report_on(bench, made, None, tmp_path, reference_name="mine")
    sent = await report_on(bench, made, real, tmp_path)
    assert stored.metrics["fid"].value == pytest.approx(sent.metrics["fid"].value, rel=1e-9)
    assert stored.reference.sha256 == sent.reference.sha256


async def test_nothing_is_seen_before_it_is_published(bench: Bench, real: Path, tmp_path: Path) -> None:
    request = ReferenceRequest(name="mine")
    kept = await store_reference(request, bench, upload=real, working_dir=tmp_path)
    assert bench.references.names() == []
    kept.publish()
    assert bench.references.names() == ["mine"]


async def test_features_of_the_callers_own_are_compared_with_such_alone(
    bench: Bench, made: Path, tmp_path: Path
) -> None:
    kept = await keep(bench, npz(tmp_path / "features.npz", {"features": FEATURES}), tmp_path)
    assert (kept.summary.extractor, kept.summary.weights_sha256, kept.summary.count) == ("caller", "", 40)
    shifted = npz(tmp_path / "shifted.npz", {"features": FEATURES[:30] + 1})
    report = await report_on(bench, shifted, None, tmp_path, reference_name="mine")
    assert report.metrics["fid"].value == pytest.approx(fid(FEATURES, FEATURES[:30] + 1).value, rel=1e-9)
    assert (report.features.extractor, report.warnings) == ("caller", ())
    with pytest.raises(InvalidSamples, match="holds features that were sent"):
        await report_on(bench, made, None, tmp_path, reference_name="mine")
    with pytest.raises(ReferenceNotFound, match="cannot be compared"):
        await report_on(bench, shifted, None, tmp_path, reference_name="mine", features="echo")


async def test_the_statistics_file_of_pytorch_fid_is_a_reference(bench: Bench, made: Path, tmp_path: Path) -> None:
    file = npz(tmp_path / "statistics.npz", {"mu": MEAN, "sigma": COVARIANCE})
    kept = await keep(bench, file, tmp_path, features="echo")
    assert (kept.summary.extractor, kept.summary.count, kept.summary.dim) == ("echo", None, 4)
    stored = await report_on(bench, made, None, tmp_path, reference_name="mine")
    sent = await report_on(bench, made, file, tmp_path)
    assert stored.metrics["fid"].value == pytest.approx(sent.metrics["fid"].value, rel=1e-12)
    with pytest.raises(InvalidSamples, match="the reference has none"):
        await report_on(bench, made, None, tmp_path, reference_name="mine", metrics=("mmd",))


async def test_a_batch_of_guided_diffusion_gives_its_statistics_and_its_images(
    bench: Bench, made: Path, tmp_path: Path
) -> None:
    arrays = {"arr_0": REAL, "mu": MEAN + 1, "sigma": COVARIANCE, "mu_s": np.zeros(7), "sigma_s": np.eye(7)}
    batch = npz(tmp_path / "batch.npz", arrays)
    only_statistics = npz(tmp_path / "statistics.npz", {"mu": MEAN + 1, "sigma": COVARIANCE})
    report = await report_on(bench, made, batch, tmp_path, metrics=("fid", "mmd"))
    right = await report_on(bench, made, only_statistics, tmp_path)
    assert report.metrics["fid"].value == pytest.approx(right.metrics["fid"].value, rel=1e-12)
    images = await report_on(bench, made, npz(tmp_path / "i.npz", {"arr_0": REAL}), tmp_path, metrics=("mmd",))
    assert report.metrics["mmd"].value == pytest.approx(images.metrics["mmd"].value, rel=1e-12)
    assert any("taken to be those of echo" in warning for warning in report.warnings)
    kept = await keep(bench, batch, tmp_path)
    assert kept.summary.count is None
    stored = await report_on(bench, made, None, tmp_path, reference_name="mine", metrics=("fid", "mmd"))
    assert stored.metrics["fid"].value == pytest.approx(right.metrics["fid"].value, rel=1e-9)


async def test_statistics_of_another_extractor_beside_images_are_left_out_or_refused(
    bench: Bench, made: Path, real: Path, tmp_path: Path
) -> None:
    batch = npz(tmp_path / "batch.npz", {"arr_0": REAL, "mu": np.zeros(7), "sigma": np.eye(7)})
    report = await report_on(bench, made, batch, tmp_path)
    plain = await report_on(bench, made, real, tmp_path)
    assert report.metrics["fid"].value == plain.metrics["fid"].value
    assert any("7 dimensions, not 4" in warning for warning in report.warnings)
    with pytest.raises(InvalidSamples, match="7 dimensions, not 4"):
        await keep(bench, batch, tmp_path)


async def test_what_cannot_be_a_reference_is_refused(bench: Bench, real: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a reference"):
        await keep(bench, real, tmp_path, name="../mine")
    with pytest.raises(ModelNotFound):
        await keep(bench, real, tmp_path, features="nobody")
    with pytest.raises(InvalidSamples, match="NaN"):
        await keep(bench, npz(tmp_path / "nan.npz", {"features": FEATURES * np.nan}), tmp_path)


async def test_only_what_was_stored_here_is_removed(bench: Bench, real: Path, tmp_path: Path) -> None:
    await keep(bench, real, tmp_path)
    state, shipped = bench.settings.reference_dirs
    save_reference(References(state).get("mine"), shipped)
    assert not bench.references.summary("mine").shipped
    bench.references.remove("mine")
    assert bench.references.summary("mine").shipped
    with pytest.raises(ReferenceShipped, match="came with the store"):
        bench.references.remove("mine")
    with pytest.raises(ReferenceNotFound):
        bench.references.remove("other")
