import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from api.evaluating import asking, evaluating, state_over
from doubles import CLASSIFIER, Echo, add_card, add_model
from evaluation.packing import Pixels, digits, npz, pngs, zipped
from serving import LENET5
from threadpoolctl import threadpool_info, threadpool_limits

from service.errors import (
    InvalidRequest,
    InvalidSamples,
    ModelNotFound,
    ReferenceNotFound,
    UnreadableArchive,
    WrongTask,
)
from service.evaluation.pipeline import Bench
from service.evaluation.references import make_reference, save_reference
from service.evaluation.report.schema import Report
from service.files import file_sha256
from service.local.blocking import Local
from service.local.evaluation import Evaluation
from service.metrics.registry import METRICS
from service.nets.pixels import Pixels as PixelsNet
from service.nets.registry import build_net
from service.settings import Settings

REAL, MADE = digits(130, seed=1, size=24), digits(90, seed=2, size=24)


@pytest.fixture
def settings(service_settings: Settings) -> Settings:
    """A LeNet-5 looks at the images, which are smaller than its own."""
    torch.manual_seed(0)
    add_model(service_settings.shipped_models_dir, "lenet5-none", build_net("lenet5"), LENET5)
    return service_settings.model_copy(update={"default_classifier": "lenet5-none", "threads": 1})


@pytest.fixture
def local(settings: Settings) -> Iterator[Local]:
    with Local(settings) as local:
        yield local


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return zipped(tmp_path / "real.zip", pngs(REAL))


@pytest.fixture
async def sent(bench: Bench, settings: Settings, real: Path, tmp_path: Path) -> Report:
    """What `/evaluate` says of the same samples."""
    made = npz(tmp_path / "made.npz", {"images": MADE})
    fields = {"metrics": ",".join(METRICS), "features": "lenet5-none", "seed": "3", "mmd.permutations": "49"}
    state = state_over(bench, default_classifier=settings.default_classifier)
    async with evaluating(state), asking(state) as (client, _):
        files = {"generated": made.open("rb"), "reference": real.open("rb")}
        reply = await client.post("/evaluate", data=fields, files=files)
        for file in files.values():
            file.close()
    assert reply.status_code == 200, reply.text
    return Report.model_validate_json(reply.content)


def evaluation_of(local: Local, reference: Path | None) -> Evaluation:
    return Evaluation(
        reference,
        metrics=list(METRICS),
        features="lenet5-none",
        options={"mmd": {"permutations": 49}},
        seed=3,
        value_range=(-1, 1),
        local=local,
    )


def batches(images: Pixels, size: int) -> Iterator[torch.Tensor]:
    """Batches as a generator with a tanh makes them: NCHW, in [−1, 1]."""
    for start in range(0, len(images), size):
        yield torch.from_numpy(images[start : start + size]).permute(0, 3, 1, 2) / 127.5 - 1


def measured(report: Report) -> dict[str, object]:
    """All of a report that the samples decide."""
    sets = {name: {"understood"} for name in ("generated", "reference")}  # what the file was
    return report.model_dump(exclude={**dict.fromkeys(("id", "timing", "inputs_sha256"), True), **sets})


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_size_of_the_batches_moves_no_bit_of_what_the_service_says(
    size: int, sent: Report, local: Local, real: Path
) -> None:
    with evaluation_of(local, real) as evaluation:
        for batch in batches(MADE, size):
            evaluation.update(batch)
        assert measured(evaluation.compute()) == measured(sent)


def test_two_ranks_that_are_merged_say_what_one_would(sent: Report, local: Local) -> None:
    """Each has seen half of both sides; the second comes from another process."""
    ranks = [evaluation_of(local, None), evaluation_of(local, None)]
    for place, rank in enumerate(ranks):
        for images, they_are_real in ((REAL, True), (MADE, False)):
            half = len(images) // 2
            for batch in batches(images[place * half : (place + 1) * half], 16):
                rank.update(batch, real=they_are_real)
    arrived = pickle.loads(pickle.dumps(ranks[1]))
    assert measured(ranks[0].merge(arrived).compute()) == measured(sent)
    assert len(arrived) == len(ranks[1])
    for evaluation in (*ranks, arrived):
        evaluation.close()


def test_a_report_may_be_asked_for_again_and_again(local: Local) -> None:
    whole = Evaluation(REAL, ["fid"], local=local)
    whole.update(MADE)
    growing = Evaluation(REAL, ["fid"], local=local)
    growing.update(MADE[:30])
    early = growing.compute()
    growing.update(MADE[30:])
    assert growing.compute().metrics == whole.compute().metrics != early.metrics
    growing.reset()
    growing.update(MADE[:30])
    assert (growing.compute().metrics, len(growing)) == (early.metrics, 30)


def test_the_reference_is_looked_at_once(service_settings: Settings, real: Path) -> None:
    with Local(service_settings) as local:
        for reference in (real, REAL):
            evaluation = Evaluation(reference, ["mmd"], local=local)
            Echo.forwarded.clear()
            for images in (MADE, MADE[:40], REAL):
                evaluation.update(images)
                evaluation.compute()
            seen = sum(map(len, Echo.forwarded))
            assert blocks(len(REAL)) + blocks(90) + blocks(130) + blocks(260) == seen


def blocks(count: int) -> int:
    """How many images an extractor is sent for `count` of them, in blocks of 4, the last one filled."""
    return -(-count // 4) * 4


def test_a_stored_reference_says_what_looks_at_the_samples(settings: Settings, local: Local) -> None:
    folder = settings.shipped_models_dir / "lenet5-none"
    add_card(folder)
    rng = np.random.default_rng(0)
    reference = make_reference(
        "noise-test",
        rng.random((40, 84)),
        rng.dirichlet(np.ones(10), 40),
        extractor="lenet5-none",
        weights_sha256=file_sha256(folder / "weights.safetensors"),
        dataset="noise",
        sha256="0",
    )
    save_reference(reference, settings.reference_dirs[0])
    with Evaluation("noise-test", ["fid"], thresholds="fid<=1e9", local=local) as evaluation:
        evaluation.update(MADE)
        report = evaluation.compute()
        assert (report.reference.name, report.features.extractor) == ("noise-test", "lenet5-none")
        assert report.verdict is not None
        assert report.verdict.passed
        assert repr(evaluation) == "Evaluation(90 samples beside noise-test: fid on lenet5-none)"
        with pytest.raises(InvalidRequest, match="There is a reference already: noise-test"):
            evaluation.update(REAL, real=True)


def test_statistics_and_features_that_were_sent_are_a_reference_too(local: Local, tmp_path: Path) -> None:
    statistics = npz(tmp_path / "statistics.npz", {"mu": np.zeros(84), "sigma": np.eye(84)})
    features = npz(tmp_path / "features.npz", {"features": np.random.default_rng(0).random((50, 84))})
    for reference in (statistics, features):
        evaluation = Evaluation(reference, ["fid"], local=local)
        evaluation.update(MADE)
        assert evaluation.compute().fid == evaluation.compute().fid > 0


def test_a_score_is_an_attribute_by_its_name(local: Local) -> None:
    evaluation = Evaluation(REAL, "fid, mmd", local=local)
    evaluation.update(MADE)
    report = evaluation.compute()
    assert (report.fid, report.mmd) == (report.metrics["fid"].value, report.metrics["mmd"].value)
    with pytest.raises(AttributeError, match="no 'kid' unless it is measured; measured was fid, mmd"):
        _ = report.kid
    assert not hasattr(report, "recall")
    with pytest.raises(AttributeError, match="no 'beauty'"):
        _ = report.beauty  # type: ignore[attr-defined]


def test_images_of_any_size_and_colour_are_taken_where_the_extractor_takes_them(
    settings: Settings, local: Local
) -> None:
    manifest = CLASSIFIER.replace('task = "classify"', 'task = "features"').format(net="pixels")
    manifest = manifest.replace('labels = ["a", "b", "c", "d"]\n', "")
    manifest = manifest.replace("channels = 1", 'channels = 1\nresample = "as-sent"')
    add_model(settings.shipped_models_dir, "pixels", PixelsNet(), manifest)
    evaluation = Evaluation(digits(20, seed=3, size=5, channels=3), ["fid"], "pixels", local=local)
    evaluation.update(digits(20, seed=4, size=5, channels=3))
    assert evaluation.compute().features.dim == 75
    evaluation.update(digits(20, seed=4, size=4, channels=3))
    with pytest.raises(InvalidSamples, match="Images of one size are compared"):
        evaluation.compute()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"reference": "nobody"}, ReferenceNotFound, "no stored reference called 'nobody'"),
        ({"metrics": ["beauty"]}, InvalidRequest, "no metric called 'beauty'"),
        ({"features": "nobody"}, ModelNotFound, "'nobody'"),
        ({"features": "doodle"}, WrongTask, "doodle does generate"),
        ({"metrics": ["mmd"], "options": {"mmd": {"sigma": -1}}}, InvalidRequest, r"mmd\.sigma"),
        ({"metrics": ["fid"], "thresholds": "kid<=1"}, InvalidRequest, "kid is not among the metrics"),
        ({"reference": Path("nowhere.zip")}, InvalidRequest, "nowhere.zip does not exist"),
        ({"seed": -1}, InvalidRequest, "seed: Input should be greater than or equal to 0"),
        ({"reference": MADE.astype(np.float32)}, InvalidRequest, "value_range: real numbers need it"),
    ],
)
def test_what_cannot_be_asked_is_said_at_once(
    arguments: dict[str, object], error: type[Exception], words: str, local: Local
) -> None:
    with pytest.raises(error, match=words):
        Evaluation(**arguments, local=local)  # type: ignore[arg-type]


def test_what_cannot_be_measured_is_said(local: Local, tmp_path: Path) -> None:
    evaluation = Evaluation(local=local)
    with pytest.raises(InvalidSamples, match="There are no samples yet"):
        evaluation.compute()
    evaluation.update(MADE)
    with pytest.raises(InvalidSamples, match="There is no reference yet"):
        evaluation.compute()
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"no archive")
    broken = Evaluation(damaged, local=local)
    broken.update(MADE)
    with pytest.raises(UnreadableArchive, match="reference: The file is not a zip"):
        broken.compute()


def test_what_has_another_extractor_or_reference_is_not_merged(local: Local, real: Path) -> None:
    for other, words in (
        (Evaluation(features="echo", local=local), "echo looks at its images, lenet5-none at these"),
        (Evaluation(real, local=local), f"compared with {real}, this one with images that came"),
    ):
        with pytest.raises(InvalidSamples, match=words):
            Evaluation(local=local).merge(other)


def test_an_evaluation_is_not_merged_with_itself(local: Local) -> None:
    evaluation = Evaluation(local=local)
    evaluation.update(MADE)
    with pytest.raises(InvalidSamples, match="merge those of the others"):
        evaluation.merge(evaluation)
    assert len(evaluation) == len(MADE)


def test_one_image_is_no_batch_but_a_batch_of_grey_ones_may_end_in_three(local: Local) -> None:
    grey, evaluation = MADE[..., 0], Evaluation(local=local)
    with pytest.raises(InvalidSamples, match="may be one image or 3 grey ones"):
        evaluation.update(grey[:3])
    evaluation.update(grey[:7])
    evaluation.update(grey[7:10])
    assert len(evaluation) == 10


def test_a_folder_of_images_is_a_reference(local: Local, real: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in pngs(REAL):
        (folder / name).write_bytes(data)
    reports = []
    for reference in (folder, real):
        evaluation = Evaluation(reference, ["fid"], local=local)
        evaluation.update(MADE)
        reports.append(evaluation.compute())
    assert reports[0].metrics == reports[1].metrics


def test_nothing_is_left_behind(local: Local) -> None:
    evaluation = Evaluation(REAL, ["fid"], local=local)
    evaluation.update(MADE)
    evaluation.compute()
    folder = evaluation.spools.folder
    assert {path.name for path in folder.rglob("*.pixels")} == {"arrived.pixels", "ordered.pixels"}
    evaluation.close()
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="The evaluation is closed"):
        evaluation.update(MADE)
    forgotten = Evaluation(REAL, local=local).spools.folder
    assert not forgotten.exists()


def test_progress_is_told_and_one_thread_does_the_linear_algebra_meanwhile(local: Local) -> None:
    def tell(share: float) -> None:
        told.append(share)
        threads.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    evaluation = Evaluation(REAL, ["fid"], local=local)
    evaluation.update(MADE)
    told: list[float] = []
    threads: set[int] = set()
    with threadpool_limits(2, user_api="blas"):
        evaluation.compute(on_progress=tell)
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {2}
    assert threads == {1}
    assert told == sorted(told)
    assert told[-1] > 0.5
