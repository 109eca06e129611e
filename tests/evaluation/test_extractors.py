"""Evaluations on the features of extractors that are no classifiers."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import CLASSIFIER, Echo, add_model
from evaluation.packing import Pixels, digits, npz, pngs, zipped
from nets.graphs import looking, seen
from torch import from_numpy

from service.errors import InvalidSamples, PackageMissing, WrongTask
from service.evaluation.pipeline import Bench, evaluate
from service.evaluation.report.schema import Report
from service.evaluation.store_reference import store_reference
from service.files import file_sha256
from service.metrics.fid import fid
from service.nets.pixels import Pixels as PixelsNet
from service.resampling import RESIZING, resample
from service.schemas import EvaluationRequest, ReferenceRequest

EXTRACTOR = CLASSIFIER.replace('task = "classify"', 'task = "features"').replace('labels = ["a", "b", "c", "d"]\n', "")
ONNX = EXTRACTOR.replace("size = [2, 2]", "size = [4, 4]").replace(
    "[input]", 'options = {{ features = "features", logits = "logits" }}\n[input]'
)


async def report_on(bench: Bench, generated: Path, reference: Path | None, tmp_path: Path, **fields: object) -> Report:
    request = EvaluationRequest.model_validate({"metrics": ("fid",), **fields})
    return await evaluate(request, bench, report_id="r", generated=generated, reference=reference, working_dir=tmp_path)


def packed(tmp_path: Path, *sets: Pixels) -> list[Path]:
    return [npz(tmp_path / f"{place}.npz", {"images": images}) for place, images in enumerate(sets)]


def mixed(path: Path, *sets: Pixels) -> Path:
    """A zip of the images of several sets, each of its own size."""
    named = [(f"{place}-{name}", data) for place, images in enumerate(sets) for name, data in pngs(images)]
    return zipped(path, named)


@pytest.fixture
def pixels(bench: Bench) -> Bench:
    """A bench with the extractor `pixels`."""
    manifest = EXTRACTOR.format(net="pixels") + "block = 64\n"
    manifest = manifest.replace("block = 4\n", "").replace("channels = 1", 'channels = 1\nresample = "as-sent"')
    add_model(bench.settings.shipped_models_dir, "pixels", PixelsNet(), manifest)
    return bench


async def test_pixels_are_features_whatever_the_size_and_colour(pixels: Bench, tmp_path: Path) -> None:
    sets = digits(70, seed=1, size=3, channels=3), digits(66, seed=2, size=3, channels=3)
    made, real = packed(tmp_path, *sets)
    report = await report_on(pixels, made, real, tmp_path, features="pixels")
    flat = [images.reshape(len(images), 27).astype(np.float64) / 255 for images in sets]
    assert report.metrics["fid"].value == pytest.approx(fid(*flat).value, rel=1e-5)
    assert (report.features.extractor, report.features.dim) == ("pixels", 27)
    assert report.features.resizing == "as-sent: images keep their size"
    with pytest.raises(InvalidSamples, match="probabilities"):
        await report_on(pixels, made, real, tmp_path, features="pixels", metrics=("inception_score",))


async def test_pixels_of_several_sizes_cannot_be_compared(pixels: Bench, tmp_path: Path) -> None:
    made = mixed(tmp_path / "made.zip", digits(5, size=2), digits(3, size=3))
    with pytest.raises(InvalidSamples, match="Images of one size are compared; these are 2×2×1, 3×3×1"):
        await report_on(pixels, made, made, tmp_path, features="pixels")
    two, three = packed(tmp_path, digits(20, size=2), digits(20, size=3))
    with pytest.raises(InvalidSamples, match=r"4 .*9|9 .*4"):
        await report_on(pixels, two, three, tmp_path, features="pixels")


async def test_what_an_extractor_resamples_itself_keeps_its_precision(bench: Bench, tmp_path: Path) -> None:
    manifest = EXTRACTOR.format(net="echo").replace("channels = 1", 'channels = 1\nresample = "bilinear-tf1"')
    add_model(bench.settings.shipped_models_dir, "unrounded", Echo(), manifest)
    sets = [digits(9, seed=seed, size=size) for seed, size in ((1, 3), (2, 2), (3, 7))]
    made, real = mixed(tmp_path / "made.zip", *sets), mixed(tmp_path / "real.zip", *sets[::-1], digits(5, size=5))
    report = await report_on(bench, made, real, tmp_path, features="unrounded")
    flat = [
        np.stack([resample(image, "bilinear-tf1", (2, 2)).ravel() / 255.0 for part in parts for image in part])
        for parts in (sets, [*sets, digits(5, size=5)])
    ]
    assert report.metrics["fid"].value == pytest.approx(fid(*flat).value, rel=1e-3)
    assert report.features.resizing == f"bilinear-tf1: {RESIZING['bilinear-tf1']}"
    shuffled = mixed(tmp_path / "shuffled.zip", *(images[::-1] for images in sets[::-1]))
    assert (await report_on(bench, shuffled, real, tmp_path, features="unrounded")).metrics == report.metrics


async def test_images_of_several_sizes_are_shown_by_their_middles(bench: Bench, tmp_path: Path) -> None:
    manifest = EXTRACTOR.format(net="echo").replace("channels = 1", 'channels = 1\nresample = "bilinear"')
    add_model(bench.settings.shipped_models_dir, "unrounded", Echo(), manifest)
    made = mixed(tmp_path / "made.zip", digits(9, size=5), digits(9, seed=1, size=8))
    shown: list[Any] = []
    await evaluate(
        EvaluationRequest(metrics=("fid",), features="unrounded"),
        bench,
        report_id="r",
        generated=made,
        reference=made,
        working_dir=tmp_path,
        on_figures=shown.append,
    )
    pairs = shown[0].pairs
    assert pairs is not None
    assert pairs.generated.shape[1:] == (96, 96, 1)
    np.testing.assert_array_equal(pairs.generated, pairs.real)


@pytest.fixture
def graph(bench: Bench) -> Path:
    """An ONNX file that somebody put into the store of added models, without a card."""
    folder = bench.settings.shipped_models_dir / "looking"
    folder.mkdir()
    (folder / "model.toml").write_text(ONNX.format(net="onnx"), "utf-8")
    (folder / "weights.onnx").write_bytes(looking())
    return folder / "weights.onnx"


async def test_an_onnx_file_that_was_put_into_the_store_is_an_extractor(
    bench: Bench, graph: Path, tmp_path: Path
) -> None:
    sets = digits(30, seed=1, size=4), digits(21, seed=2, size=4)
    made, real = packed(tmp_path, *sets)
    report = await report_on(bench, made, real, tmp_path, features="looking", metrics=("fid", "inception_score"))
    features = [seen(from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255))[1].numpy() for images in sets]
    assert report.metrics["fid"].value == pytest.approx(fid(*features).value, rel=1e-4)
    assert report.features.weights_sha256 == file_sha256(graph)
    assert "looking" in bench.store.ids()
    made, real = packed(tmp_path, sets[0][::-1], sets[1])
    again = await report_on(bench, made, real, tmp_path, features="looking")
    assert again.metrics["fid"] == report.metrics["fid"]


async def test_a_reference_of_an_onnx_files_features_names_the_file(bench: Bench, graph: Path, tmp_path: Path) -> None:
    made, real = packed(tmp_path, digits(30, seed=1, size=4), digits(21, seed=2, size=4))
    asked = ReferenceRequest(name="mine", features="looking")
    kept = await store_reference(asked, bench, upload=real, working_dir=tmp_path)
    kept.publish()
    assert kept.summary.weights_sha256 == file_sha256(graph)
    report = await report_on(bench, made, None, tmp_path, reference_name="mine")
    sent = await report_on(bench, made, real, tmp_path, features="looking")
    assert report.metrics["fid"].value == sent.metrics["fid"].value


async def test_without_onnxruntime_an_evaluation_names_the_extra(
    bench: Bench, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert graph.is_file()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    made, real = packed(tmp_path, digits(30, seed=1, size=4), digits(21, seed=2, size=4))
    with pytest.raises(PackageMissing, match=r"chapterhouse\[onnx\]"):
        await report_on(bench, made, real, tmp_path, features="looking")


async def test_what_sees_no_images_is_no_extractor(bench: Bench, tmp_path: Path) -> None:
    made, real = packed(tmp_path, digits(5), digits(6))
    with pytest.raises(WrongTask, match="doodle does generate; it has no features of images"):
        await report_on(bench, made, real, tmp_path, features="doodle")
