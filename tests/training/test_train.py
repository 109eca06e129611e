import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from training.eye import make_eye
from training.manifests import ADVERSARIAL, CLASSIFIER, MANIFESTS

from service.datasets.registry import DATASETS, MIXTURES, SERIES, STACKED
from service.errors import ConfigurationError, DatasetMissing, InvalidManifest
from service.files import file_sha256
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import Model, Score
from service.training.checkpoints import Checkpoints
from service.training.classifier import measure_accuracy
from service.training.progress import Progress
from service.training.registry import REDUCED, read_recipe
from service.training.run import Run
from service.training.train import example_of, train, with_scores

DESCRIBED = [Model(path.parent) for path in sorted(Settings().shipped_models_dir.glob("*/model.toml"))]
SHIPPED = [model.id for model in DESCRIBED if model.manifest.source is None and model.manifest.task != "features"]

Build = Callable[[str], Model]


@pytest.fixture
def model_of(tmp_path: Path) -> Build:
    def build(name: str) -> Model:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.toml").write_text(MANIFESTS[name], "utf-8")
        return Model(folder)

    return build


class Interrupted(Exception):
    """The machine went away."""


class Interrupting(Progress):
    """Takes the machine away after a number of reports."""

    def __init__(self, after: int) -> None:
        super().__init__("interrupted", console=quiet())
        self._left = after

    def report(self, step: int, total: int, **measures: SupportsFloat) -> None:
        self._left -= 1
        if self._left < 0:
            raise Interrupted
        super().report(step, total, **measures)


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.mark.parametrize(("name", "reports"), [("classifier", 23), ("elaborate", 4), *((n, 4) for n in ADVERSARIAL)])
def test_an_interrupted_training_ends_with_the_very_same_weights(
    name: str, reports: int, model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of(name)
    loop, recipe = read_recipe(model.manifest.training)
    find = MIXTURES if name.startswith("toy") else DATASETS
    data = find[model.manifest.dataset].load(data_dir, "train")

    def live(folder: str, progress: Progress) -> dict[str, Any]:
        torch.manual_seed(3)
        checkpoints = Checkpoints(tmp_path / folder, {}, every_s=0)
        with progress:
            eye = make_eye(Path(tempfile.mkdtemp(dir=tmp_path)) / "eye")
            run = Run(model.manifest, data, torch.device("cpu"), checkpoints, progress, find=lambda _: eye)
            return loop.train(recipe, run).state_dict()

    expected = live("whole", Progress(name, console=quiet()))
    with pytest.raises(Interrupted):
        live("broken", Interrupting(after=reports))
    found = live("broken", Progress(name, console=quiet()))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    histories = [(tmp_path / folder / "history.jsonl") for folder in ("whole", "broken")]
    assert len({path.read_text() if name in ADVERSARIAL else "" for path in histories}) == 1


def test_the_same_seed_gives_the_same_file_and_another_seed_another(
    model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of("gan")

    def sha256(run: str, seed: int) -> str:
        card = train(
            model,
            data_dir=data_dir,
            checkpoint_dir=tmp_path / "checkpoints" / run,
            output_dir=tmp_path / run,
            seed=seed,
            console=quiet(),
        )
        assert card.seed == seed
        return card.sha256

    assert sha256("first", 1) == sha256("second", 1) != sha256("third", 2)


def test_training_leaves_the_random_numbers_and_threads_of_its_caller_alone(
    model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    train(model_of("gan"), data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_classifier_learns_and_its_card_says_what_it_is(model_of: Build, data_dir: Path, tmp_path: Path) -> None:
    model = model_of("classifier")
    card = train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    assert card.sha256 == file_sha256(model.weights)
    assert card.size_bytes == model.weights.stat().st_size
    assert (card.parameters, card.macs, len(card.layers)) == (60_000, 326_520, 7)
    assert card.recipe["distortion"]["rotation"] == 1.0
    assert card.versions["torch"] == torch.__version__
    assert card.hardware.endswith("1 thread")
    assert card.seconds > 0

    net = build_net("lenet5")
    load_weights(net, model.weights)
    images = DATASETS["mnist"].load(data_dir, "test")
    assert measure_accuracy(net, images, model.input, torch.device("cpu")) > 0.9
    scored = with_scores(card, {"accuracy": Score(value=0.99, on="mnist, test", how="all images")})
    assert scored.scores["accuracy"].value == 0.99


def test_a_generators_progress_can_be_looked_at(model_of: Build, data_dir: Path, tmp_path: Path) -> None:
    train(model_of("wgan"), data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    pictures = sorted((tmp_path / "checkpoints").glob("samples-*.png"))
    assert [path.stem for path in pictures] == ["samples-000003", "samples-000006"]
    with Image.open(pictures[-1]) as picture:
        assert picture.mode == "L"


def test_of_a_stack_of_toys_the_first_is_kept_with_a_recording_of_its_training(
    model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of("toy")
    train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    net = build_net("toy-generator", {"width": 8})
    load_weights(net, model.weights)  # strict: there is one net, not three
    recorded = load_file(model.folder / "recording.safetensors")
    assert recorded["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert recorded["samples"].shape == (6, 500, 2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*.png")) == [
        "curves.png",
        "samples-000003.png",
        "samples-000006.png",
    ]


def test_a_finished_training_is_not_repeated_unless_it_starts_afresh(
    model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of("gan")
    lines = [Console(file=io.StringIO()) for _ in range(3)]
    for resume, console in zip((True, True, False), lines, strict=True):
        train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", resume=resume, console=console)
    first, second, third = (console.file.getvalue() for console in lines if isinstance(console.file, io.StringIO))
    assert "6/6" in first
    assert second == ""
    assert "6/6" in third


def test_the_checkpoint_of_another_seed_is_refused(model_of: Build, data_dir: Path, tmp_path: Path) -> None:
    model = model_of("gan")
    train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    with pytest.raises(ConfigurationError, match="another recipe, seed"):
        train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", seed=9, console=quiet())


def test_training_without_the_data_says_what_is_missing(model_of: Build, tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="data fetch mnist"):
        train(model_of("gan"), data_dir=tmp_path, checkpoint_dir=tmp_path / "checkpoints", console=quiet())


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"loop": "evolution"},
        {"loop": "classifier"},
        {"loop": "classifier", "epochs": 1, "epoch": 2},
        {"loop": "adversarial", "system": "vae", "discriminator": "dcgan32-discriminator", "iterations": 1},
    ],
    ids=["nothing", "unknown loop", "missing field", "unknown field", "unknown system"],
)
def test_a_recipe_that_cannot_be_is_refused(training: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match=r"\[training\]"):
        read_recipe(training)


def test_an_elaborate_recipe_leaves_the_net_that_the_manifest_names(
    model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of("elaborate")
    card = train(model, data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints", console=quiet())
    net = build_net("googlenet", model.manifest.options)
    load_weights(net, model.weights)  # strict: the auxiliary classifiers are gone
    stored = load_file(model.weights)
    assert {tensor.dtype for tensor in stored.values() if tensor.ndim > 1} == {torch.float16}
    assert stored["conv1.norm.running_var"].dtype == torch.float32
    assert card.recipe["form"] == "full"
    rms = net.get_parameter("conv1.conv.weight").square().mean(dim=(1, 2, 3)).sqrt()
    assert rms.max() <= 0.1 + 1e-3
    assert measure_accuracy(net.eval(), DATASETS["mnist"].load(data_dir, "test"), model.input, torch.device("cpu")) >= 0


def test_the_reduced_recipe_says_only_what_is_different(model_of: Build, data_dir: Path, tmp_path: Path) -> None:
    model = model_of("elaborate")
    place = tmp_path / "checkpoints"
    card = train(model, data_dir=data_dir, checkpoint_dir=place, form="reduced", console=quiet())
    assert (card.recipe["form"], card.recipe["epochs"], card.recipe["precision"]) == ("reduced", 1, "float32")
    assert card.recipe["auxiliary"] == 0.3
    with pytest.raises(InvalidManifest, match="has no reduced recipe"):
        train(model_of("classifier"), data_dir=data_dir, checkpoint_dir=place, form="reduced", console=quiet())


@pytest.mark.slow
def test_two_processes_train_the_net_that_one_would(tmp_path: Path, data_dir: Path) -> None:
    # One batch an epoch, so that the order of its images is all that differs.
    manifest = CLASSIFIER.replace("distortion = { rotation = 1.0 }", 'optimiser = "sgd"').replace(
        "epochs = 12", "epochs = 3"
    )
    manifest = manifest.replace("batch = 20", "batch = 200").replace("held_out = 20", "held_out = 0")
    folder = tmp_path / "lenet5"
    folder.mkdir()
    (folder / "model.toml").write_text(manifest, "utf-8")
    model = Model(folder)
    found = []
    for processes in (1, 2):
        card = train(
            model,
            data_dir=data_dir,
            checkpoint_dir=tmp_path / f"checkpoints-{processes}",
            processes=processes,
            console=quiet(),
        )
        assert card.hardware.endswith("2 × 1 thread") is (processes == 2)
        assert card.seconds > 0
        found.append(load_file(model.weights))
    alone, together = found
    begun = build_net("lenet5").state_dict()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-4, atol=1e-5)
        assert tensor.shape == begun[name].shape


def test_a_loop_that_one_process_runs_alone_says_so(model_of: Build, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one process runs alone"):
        train(model_of("gan"), data_dir=data_dir, checkpoint_dir=tmp_path, processes=2, console=quiet())


@pytest.mark.parametrize("model_id", SHIPPED)
def test_a_shipped_model_can_be_trained_as_its_manifest_says(model_id: str) -> None:
    manifest = Model(Settings().shipped_models_dir / model_id).manifest
    read_recipe(manifest.training)
    if REDUCED in manifest.training:
        read_recipe(manifest.training, form="reduced")
    assert manifest.dataset in {**DATASETS, **STACKED, **SERIES, **MIXTURES}
    y = build_net(manifest.net, manifest.options).eval()(example_of(manifest))
    if manifest.output is not None:
        side = manifest.output.size[0] + 2 * manifest.output.crop
        assert y.shape == (1, manifest.output.channels, side, side)
    elif manifest.points is not None:
        assert y.shape == (1, 2)
        mixture = MIXTURES[manifest.dataset]
        np.testing.assert_allclose(manifest.points.modes, mixture.modes, atol=1e-11)
        assert manifest.points.deviation == mixture.deviation
    elif manifest.series is not None:
        assert y.shape == (1, manifest.series.memorised or 1, len(manifest.series.channels))
    else:
        assert y.shape == (1, len(manifest.labels))
