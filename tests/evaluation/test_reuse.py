"""A report is given again only to whom it would have been computed the same: whatever differs is asked anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import CLASSIFIER, Echo, add_card
from evaluation.packing import digits, npz, pngs, zipped

from service.errors import InvalidSamples
from service.evaluation import pipeline, placing
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.references import make_reference, save_reference
from service.evaluation.report.history import NoHistory
from service.evaluation.report.schema import Report
from service.files import file_sha256
from service.metrics.registry import DEFAULT_METRICS
from service.nets.weights import save_weights
from service.runtime.calls import LoadedModel
from service.runtime.in_process import LocalEngine
from service.schemas import EvaluationRequest
from service.store import ModelStore

REAL = digits(60, seed=1, size=2)
MADE = digits(50, seed=2, size=2)


@dataclass
class Remembering(NoHistory):
    """Every report of the test so far, by what its numbers depend on."""

    reports: dict[str, Report] = field(default_factory=dict)

    def finished_like(self, inputs_sha256: str) -> Report | None:
        """The report of these inputs."""
        return self.reports.get(inputs_sha256)


CARD = "NVIDIA H100 80GB HBM3, float32"


class Elsewhere:
    """The engine of a test, that says it holds its models on another device."""

    def __init__(self, engine: LocalEngine, device: str, kind: str) -> None:
        self.submit, self.width = engine.submit, engine.width
        self._engine = engine
        self._place = {"device": device, "kind": kind}

    def models(self) -> Mapping[str, LoadedModel]:
        """What the engine holds."""
        return {name: replace(held, **self._place) for name, held in self._engine.models().items()}


class Asking:
    """Evaluations one after another, each of which could be given the report of one before it."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = replace(bench, history=Remembering())
        self._folder = folder
        self._asked = 0

    async def __call__(self, generated: Path, reference: Path | None, **fields: object) -> Report:
        """The report on these files."""
        self._asked += 1
        working_dir = self._folder / f"work-{self._asked}"
        working_dir.mkdir()
        report = await evaluate(
            EvaluationRequest.model_validate({"metrics": ("fid",), **fields}),
            self.bench,
            report_id=str(self._asked),
            generated=generated,
            reference=reference,
            working_dir=working_dir,
        )
        history = self.bench.history
        assert isinstance(history, Remembering)
        if report.inputs_sha256 is not None:
            history.reports[report.inputs_sha256] = report
        return report


@pytest.fixture
async def asked(bench: Bench, engine: LocalEngine, tmp_path: Path) -> Asking:
    """Evaluations with Echo, whose weights are known and which is loaded: everything else depends on the two files."""
    add_card(bench.settings.shipped_models_dir / "echo")
    await engine.load("echo")
    return Asking(bench, tmp_path)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return zipped(tmp_path / "made.zip", pngs(MADE))


async def test_the_same_question_is_given_the_same_report(
    asked: Asking, made: Path, real: Path, tmp_path: Path
) -> None:
    first = await asked(made, real)
    repacked = npz(tmp_path / "repacked.npz", {"images": MADE[::-1]})
    again = await asked(repacked, real, thresholds="fid<=0")
    assert (first.reused, again.reused) == (None, "1")
    assert again.metrics == first.metrics
    # What it says of the files is of these files.
    assert (first.generated.understood or "").startswith("a zip of 50 images")
    assert (again.generated.understood or "").startswith("array 'images'")
    assert again.generated.sha256 == first.generated.sha256


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({}, {"intervals": False}),
        ({}, {"seed": 1}),
        ({}, {"metrics": ("fid", "mmd")}),
        ({"metrics": ("mmd",)}, {"metrics": ("mmd",), "options": {"mmd": {"sigma": "3"}}}),
        ({"features": "echo"}, {"features": "gossiping"}),
    ],
)
async def test_another_question_about_the_same_files_is_computed(
    asked: Asking, engine: LocalEngine, made: Path, real: Path, first: dict[str, object], other: dict[str, object]
) -> None:
    add_card(asked.bench.settings.shipped_models_dir / "gossiping")
    await engine.load("gossiping")
    await asked(made, real, **first)
    assert (await asked(made, real, **other)).reused is None


@pytest.mark.parametrize("whose", ["generated", "reference"])
async def test_a_metric_that_sees_the_order_is_computed_anew_for_another_order(
    asked: Asking, tmp_path: Path, whose: str
) -> None:
    kid: dict[str, Any] = {"metrics": ("kid",), "options": {"kid": {"subsets": "3", "subset_size": "20"}}}
    images = {"generated": MADE, "reference": REAL}
    sides = [npz(tmp_path / f"{name}.npz", {"images": rows}) for name, rows in images.items()]
    reports = [await asked(*sides, **kid)]
    sides[[*images].index(whose)] = npz(tmp_path / "turned.npz", {"images": images[whose][::-1]})
    reports += [await asked(*sides, **kid), await asked(*sides, **kid)]
    assert [report.reused for report in reports] == [None, None, "2"]


async def test_other_files_are_computed(asked: Asking, made: Path, real: Path) -> None:
    await asked(made, real)
    assert (await asked(real, real)).reused is None
    assert (await asked(made, made)).reused is None


async def test_another_stored_reference_is_computed(asked: Asking, made: Path) -> None:
    folder = asked.bench.settings.shipped_models_dir / "echo"
    for name, rows in (("one", REAL), ("two", REAL[:40])):
        stored = make_reference(
            name,
            (rows.reshape(len(rows), 4) / 255).astype(np.float32),
            None,
            extractor="echo",
            weights_sha256=file_sha256(folder / "weights.safetensors"),
            dataset="pixels",
            sha256=f"{len(rows):064}",
        )
        save_reference(stored, asked.bench.settings.reference_dirs[0])
    reports = [await asked(made, None, reference_name=name) for name in ("one", "two", "one")]
    assert [report.reused for report in reports] == [None, None, "1"]


async def test_other_weights_of_the_same_extractor_compute_anew(
    asked: Asking, engine: LocalEngine, made: Path, real: Path
) -> None:
    await asked(made, real)
    folder = asked.bench.settings.shipped_models_dir / "echo"
    net = Echo()
    net.scale.data.fill_(1.0)
    save_weights(net, folder / "weights.safetensors")
    add_card(folder)
    await engine.load("echo")
    assert (await asked(made, real)).reused is None


async def test_an_extractor_that_is_given_its_images_otherwise_computes_anew(
    asked: Asking, made: Path, real: Path
) -> None:
    await asked(made, real)
    layer = asked.bench.settings.shipped_models_dir
    manifest = CLASSIFIER.format(net="echo").replace("mean = [0.0]", "mean = [0.5]")
    (layer / "echo" / "model.toml").write_text(manifest, "utf-8")
    asked.bench = replace(asked.bench, store=ModelStore(layer))
    assert (await asked(made, real)).reused is None


async def test_another_kind_of_device_computes_anew_and_another_of_its_kind_does_not(
    asked: Asking, engine: LocalEngine, made: Path, real: Path
) -> None:
    reports = []
    for device, kind in (("cpu", "cpu"), ("cuda:0", CARD), ("cuda:1", CARD), ("cuda:1", "another card, float32")):
        asked.bench = replace(asked.bench, engine=Elsewhere(engine, device, kind))
        reports.append(await asked(made, real))
    assert [report.reused for report in reports] == [None, None, "2", None]
    assert [report.features.device for report in reports[:2]] == ["cpu", f"cuda:0 ({CARD})"]


async def test_features_of_blocks_of_another_size_are_computed_anew(
    asked: Asking, models_dir: Path, made: Path, real: Path
) -> None:
    await asked(made, real)
    manifest = models_dir / "echo" / "model.toml"
    text = manifest.read_text("utf-8")
    assert "block = 4" in text
    manifest.write_text(text.replace("block = 4", "block = 5"), "utf-8")
    asked.bench = replace(asked.bench, store=ModelStore(models_dir))
    assert (await asked(made, real)).reused is None
    assert (await asked(made, real)).reused == "2"


@pytest.mark.parametrize("whose", ["generated", "reference"])
async def test_files_that_were_skipped_are_told_of_although_the_samples_are_the_same(
    asked: Asking, made: Path, real: Path, tmp_path: Path, whose: str
) -> None:
    sides = {"generated": made, "reference": real}
    await asked(**sides, skip_unreadable=True)
    images = {"generated": MADE, "reference": REAL}[whose]
    sides[whose] = zipped(tmp_path / "torn.zip", [*pngs(images), ("torn.png", b"torn")])
    report = await asked(**sides, skip_unreadable=True)
    assert any("torn.png" in warning for warning in report.warnings)
    assert report.reused is None


@pytest.mark.parametrize(
    "strict",
    [{"metrics": DEFAULT_METRICS}, {"metrics": None, "thresholds": "mmd<=1"}],
    ids=["metrics", "thresholds"],
)
async def test_what_was_left_out_for_who_named_no_metric_is_not_left_out_for_who_did(
    asked: Asking, real: Path, tmp_path: Path, strict: dict[str, object]
) -> None:
    statistics = npz(tmp_path / "statistics.npz", {"mu": np.zeros(4), "sigma": np.eye(4)})
    lenient = await asked(statistics, real, metrics=None)
    assert list(lenient.metrics) == ["fid"]
    with pytest.raises(InvalidSamples, match="needs the features"):
        await asked(statistics, real, **strict)


async def test_weights_without_a_card_are_known_by_their_file(
    bench: Bench, engine: LocalEngine, models_dir: Path, tmp_path: Path, made: Path, real: Path
) -> None:
    await engine.load("echo")
    asked = Asking(bench, tmp_path)
    first, again = [await asked(made, real) for _ in range(2)]
    assert again.reused == first.id
    net = Echo()
    net.scale.data.fill_(3.0)
    save_weights(net, models_dir / "echo" / "weights.safetensors")
    await engine.load("echo")
    other = await asked(made, real)
    assert (other.reused, other.inputs_sha256 == first.inputs_sha256) == (None, False)


async def test_an_upgraded_service_computes_anew(
    asked: Asking, made: Path, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(made, real)
    with monkeypatch.context() as upgraded:
        upgraded.setitem(placing.VERSIONS, "numpy", "0.0")
        assert (await asked(made, real)).reused is None
    monkeypatch.setattr(pipeline, "DECODER", "another decoder")
    assert (await asked(made, real)).reused is None
