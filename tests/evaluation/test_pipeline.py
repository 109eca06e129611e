from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import add_card
from evaluation.packing import digits, npz, pngs, tarred, zipped

from service.errors import (
    InvalidRequest,
    InvalidSamples,
    ModelNotFound,
    NotComparable,
    ReferenceNotFound,
    UnreadableArchive,
    WrongTask,
)
from service.evaluation.figures.data import Figures
from service.evaluation.pipeline import Bench, evaluate, plan
from service.evaluation.references import Description, Reference, References, make_reference, save_reference
from service.evaluation.report.history import ReportFiles
from service.evaluation.report.schema import Report
from service.files import file_sha256
from service.metrics.fid import fid
from service.runtime.calls import Array, Call, Lane
from service.schemas import EvaluationRequest

REAL = digits(60, seed=1, size=2)
MADE = digits(50, seed=2, size=2)


async def report_on(bench: Bench, generated: Path, reference: Path | None, tmp_path: Path, **fields: object) -> Report:
    request = EvaluationRequest.model_validate(fields)
    working_dir = tmp_path / "work"
    working_dir.mkdir(exist_ok=True)
    return await evaluate(
        request, bench, report_id="r", generated=generated, reference=reference, working_dir=working_dir
    )


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return npz(tmp_path / "made.npz", {"images": MADE})


async def test_images_are_measured_on_the_extractors_features(
    bench: Bench, made: Path, real: Path, tmp_path: Path
) -> None:
    report = await report_on(bench, made, real, tmp_path, metrics=("fid", "mmd"))
    pixels = [images.reshape(len(images), 4).astype(np.float64) / 255 for images in (REAL, MADE)]
    assert report.metrics["fid"].value == pytest.approx(fid(*pixels).value, rel=1e-5)
    assert (report.generated.count, report.reference.count) == (50, 60)
    assert (report.features.extractor, report.features.dim, report.features.device) == ("echo", 4, "cpu")
    assert report.verdict is None
    assert {"read_generated", "extract_generated", "extract_reference", "fid", "mmd"} <= report.timing.keys()


async def test_the_number_does_not_depend_on_packing_or_order(
    bench: Bench, made: Path, real: Path, tmp_path: Path
) -> None:
    shuffled = tarred(tmp_path / "made.tar.gz", pngs(MADE[::-1]), gzipped=True)
    first = await report_on(bench, made, real, tmp_path)
    second = await report_on(bench, shuffled, real, tmp_path)
    assert first.metrics == second.metrics
    assert first.generated.sha256 == second.generated.sha256


async def test_the_number_does_not_depend_on_the_load(bench: Bench, made: Path, real: Path, tmp_path: Path) -> None:
    class Busy:
        """Other clients' work, submitted between this evaluation's blocks."""

        def __init__(self) -> None:
            self.models, self.width = bench.engine.models, bench.engine.width

        async def submit(
            self,
            call: Call,
            arrays: Sequence[Array],
            *,
            lane: Lane = Lane.INTERACTIVE,
            deadline: float | None = None,
            request_id: str = "",
        ) -> list[Array]:
            for other in (Call(call.model, "classify"), call):
                await bench.engine.submit(other, [REAL[:3]])
            return await bench.engine.submit(call, arrays, lane=lane, deadline=deadline, request_id=request_id)

    loaded = Bench(bench.settings, bench.store, Busy(), bench.references)
    quiet = await report_on(bench, made, real, tmp_path)
    assert (await report_on(loaded, made, real, tmp_path)).metrics == quiet.metrics


async def test_features_that_were_sent_are_measured_as_they_are(bench: Bench, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(40, 3)), rng.normal(1.0, 1.0, (30, 3))
    real, made = (npz(tmp_path / f"{place}.npz", {"features": side}) for place, side in enumerate(sides))
    report = await report_on(bench, made, real, tmp_path, thresholds="fid<=0.001")
    assert report.metrics["fid"].value == pytest.approx(fid(*sides).value, rel=1e-12)
    assert (report.features.extractor, report.features.weights_sha256) == ("caller", None)
    assert report.verdict is not None
    assert not report.verdict.passed


async def test_statistics_are_enough_for_fid(bench: Bench, real: Path, tmp_path: Path) -> None:
    statistics = npz(tmp_path / "statistics.npz", {"mu": np.zeros(4), "sigma": np.eye(4)})
    report = await report_on(bench, statistics, real, tmp_path)
    assert list(report.metrics) == ["fid"]
    with pytest.raises(InvalidSamples, match="mmd needs the features"):
        await report_on(bench, statistics, real, tmp_path, metrics=("mmd",))


class CountingReferences(References):
    """The references of a folder, and how often one is read whole."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(*folders)
        self.read: list[str] = []

    def get(self, name: str) -> Reference:
        """The reference; noted."""
        self.read.append(name)
        return super().get(name)


PIXELS = (REAL.reshape(60, 4) / 255).astype(np.float32)


@pytest.fixture
def stored(bench: Bench) -> Reference:
    """The real pixels, stored as echo's features under the name `pixels-test`."""
    folder = bench.settings.shipped_models_dir / "echo"
    add_card(folder)
    made = make_reference(
        "pixels-test",
        PIXELS,
        np.full((60, 4), 0.25, np.float32),
        extractor="echo",
        weights_sha256=file_sha256(folder / "weights.safetensors"),
        dataset="pixels",
        sha256="0" * 64,
    )
    save_reference(made, bench.settings.reference_dirs[0])
    return made


async def test_a_stored_reference_is_compared_with(bench: Bench, stored: Reference, made: Path, tmp_path: Path) -> None:
    report = await report_on(bench, made, None, tmp_path, reference_name="pixels-test", metrics=("fid",))
    assert report.reference.name == "pixels-test"
    assert report.features.weights_sha256 == stored.description.weights_sha256
    sent = npz(tmp_path / "features.npz", {"features": PIXELS})
    trusted = await report_on(bench, sent, None, tmp_path, reference_name="pixels-test", metrics=("fid",))
    assert any("taken to be those of echo" in warning for warning in trusted.warnings)
    assert trusted.metrics["fid"].value == pytest.approx(0, abs=1e-9)


async def test_a_stored_reference_is_read_once_and_planning_reads_only_what_it_says_of_itself(
    bench: Bench, stored: Reference, made: Path, tmp_path: Path
) -> None:
    references = CountingReferences(*bench.settings.reference_dirs)
    counting = replace(bench, references=references)
    request = EvaluationRequest(reference_name=stored.description.name, metrics=("fid",))
    assert plan(request, counting, has_file=False).stored == stored.description
    assert references.read == []
    await report_on(counting, made, None, tmp_path, reference_name="pixels-test", metrics=("fid",))
    assert references.read == ["pixels-test"]


@pytest.mark.usefixtures("stored")
def test_a_reference_of_another_extractor_is_refused_before_anything_is_read(bench: Bench) -> None:
    request = EvaluationRequest(reference_name="pixels-test", features="failing")
    with pytest.raises(ReferenceNotFound, match=r"made with echo .*, not with failing .* cannot be compared"):
        plan(request, bench, has_file=False)


def test_a_reference_of_other_weights_is_refused_before_anything_is_read(bench: Bench, stored: Reference) -> None:
    other = replace(stored, description=stored.description.model_copy(update={"weights_sha256": "ab" * 32}))
    save_reference(other, bench.settings.reference_dirs[0])
    with pytest.raises(ReferenceNotFound, match=r"made with echo \(weights abababababab\), not with echo \(weights"):
        plan(EvaluationRequest(reference_name="pixels-test"), bench, has_file=False)


class Replaced(References):
    """References of which one is replaced once it has been described."""

    def __init__(self, by: Reference, *folders: Path) -> None:
        super().__init__(*folders)
        self._by, self._folder = by, folders[0]

    def describe(self, name: str) -> Description:
        """What it was."""
        described = super().describe(name)
        save_reference(self._by, self._folder)
        return described


async def test_a_reference_that_is_replaced_meanwhile_is_named_as_it_was_measured(
    bench: Bench, stored: Reference, made: Path, tmp_path: Path
) -> None:
    folders = bench.settings.reference_dirs
    asked: dict[str, object] = {"reference_name": "pixels-test", "metrics": ("fid",)}
    newer = replace(stored, description=stored.description.model_copy(update={"sha256": "1" * 64}))
    report = await report_on(replace(bench, references=Replaced(newer, *folders)), made, None, tmp_path, **asked)
    assert report.reference.sha256 == "1" * 64
    foreign = replace(stored, description=stored.description.model_copy(update={"weights_sha256": "ab" * 32}))
    with pytest.raises(ReferenceNotFound, match="cannot be compared"):
        await report_on(replace(bench, references=Replaced(foreign, *folders)), made, None, tmp_path, **asked)


async def test_sets_of_different_dimensions_are_refused(bench: Bench, made: Path, tmp_path: Path) -> None:
    other = npz(tmp_path / "other.npz", {"features": np.random.default_rng(0).normal(size=(9, 5))})
    with pytest.raises(InvalidSamples, match="reference features have 5 dimensions, the generated ones 4"):
        await report_on(bench, made, other, tmp_path)


async def test_what_cannot_be_read_is_named_with_its_upload_and_its_place_there(
    bench: Bench, made: Path, real: Path, tmp_path: Path
) -> None:
    broken = zipped(tmp_path / "broken.zip", [*pngs(REAL), ("torn.png", b"torn")])
    with pytest.raises(UnreadableArchive, match=r"^reference: 'torn\.png'"):
        await report_on(bench, made, broken, tmp_path)
    features = np.random.default_rng(0).normal(size=(9, 4))
    features[3, 1] = np.nan
    with pytest.raises(InvalidSamples, match=r"^generated: Row 3 of the uploaded features .* NaN"):
        await report_on(bench, npz(tmp_path / "nan.npz", {"features": features}), real, tmp_path)


async def test_a_baseline_of_which_nothing_can_be_measured_again_is_no_green_verdict(
    bench: Bench, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    features = npz(tmp_path / "features.npz", {"features": rows})
    statistics = npz(tmp_path / "statistics.npz", {"mu": rows.mean(axis=0), "sigma": np.cov(rows, rowvar=False)})
    kept = tmp_path / "kept.json"
    kept.write_text((await report_on(bench, features, features, tmp_path, metrics=("kid",))).model_dump_json())
    remembering = replace(bench, history=ReportFiles())
    with pytest.raises(NotComparable, match="no metric is left to compare"):
        await report_on(remembering, statistics, features, tmp_path, baseline=str(kept))


async def test_features_that_were_sent_beside_images_are_taken_on_trust_and_said_so(
    bench: Bench, made: Path, tmp_path: Path
) -> None:
    sent = npz(tmp_path / "sent.npz", {"features": REAL.reshape(60, 4) / 255})
    report = await report_on(bench, made, sent, tmp_path, metrics=("fid",))
    assert any("taken to be those of echo" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("fields", "has_file", "error", "words"),
    [
        ({}, False, InvalidRequest, "either the file"),
        ({"reference_name": "x"}, True, InvalidRequest, "either the file"),
        ({"reference_name": "x"}, False, ReferenceNotFound, "'x'"),
        ({"metrics": ("fjd",)}, True, InvalidRequest, "fjd"),
        ({"options": {"mmd": {"sigma": "-1"}}}, True, InvalidRequest, "mmd"),
        ({"thresholds": "fid"}, True, InvalidRequest, "fid"),
        ({"features": "nobody"}, True, ModelNotFound, "nobody"),
        ({"features": "doodle"}, True, WrongTask, "doodle"),
    ],
)
async def test_a_request_that_cannot_be_carried_out_is_refused_before_its_files_are_read(
    bench: Bench,
    fields: dict[str, object],
    has_file: bool,  # noqa: FBT001 - a column of the table
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        plan(EvaluationRequest.model_validate(fields), bench, has_file=has_file)


async def test_figures_are_made_for_who_asks_and_move_no_number(
    bench: Bench, made: Path, real: Path, tmp_path: Path
) -> None:
    shown: list[Figures] = []
    (tmp_path / "shown").mkdir()
    report = await evaluate(
        EvaluationRequest(metrics=("mmd",)),
        bench,
        report_id="r",
        generated=made,
        reference=real,
        working_dir=tmp_path / "shown",
        on_figures=shown.append,
    )
    [figures] = shown
    assert isinstance(figures, Figures)
    assert figures.pairs is not None
    assert len(figures.pairs.real) == 12
    assert figures.classes is not None
    assert figures.classes.labels.tolist() == ["a", "b", "c", "d"]
    assert figures.curve is None
    assert "figures" in report.timing
    assert report.metrics == (await report_on(bench, made, real, tmp_path, metrics=("mmd",))).metrics
