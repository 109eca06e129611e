import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsFloat

import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from service.datasets.registry import DATASETS, SERIES
from service.errors import ConfigurationError, DatasetMissing, InvalidManifest
from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import Model, Score, file_sha256
from service.training.checkpoints import Checkpoints
from service.training.classifier import measure_accuracy
from service.training.progress import Progress
from service.training.registry import REDUCED, read_recipe
from service.training.run import Run
from service.training.train import example_of, train, with_scores

DESCRIBED = [Model(path.parent) for path in sorted(Settings().shipped_models_dir.glob("*/model.toml"))]
SHIPPED = [model.id for model in DESCRIBED if model.manifest.source is None]

CLASSIFIER = """
net = "lenet5"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
input = { size = [28, 28], channels = 1, pad = 2, mean = [0.08], std = [0.78] }
[training]
loop = "classifier"
epochs = 12
batch = 20
rate = 4e-3
held_out = 20
distortion = { rotation = 1.0 }
"""

# Everything that a recipe can say at once, on a net with auxiliary classifiers, normalisation and dropout.
ELABORATE = """
net = "googlenet"
task = "classify"
chapter = 4
paper = ""
summary = ""
dataset = "mnist"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
input = { size = [28, 28], channels = 1, mean = [0.08], std = [0.78] }
[options]
size = 28
channels = 1
classes = 10
width = 0.03125
stem = [3, 1, 1]
batch_norm = true
[training]
loop = "classifier"
epochs = 3
batch = 20
images = 60
optimiser = "sgd"
rate = 0.05
schedule = "steps"
steps = [0.5]
smoothing = 0.1
auxiliary = 0.3
weight_decay = 1e-4
decay = "weights"
clip = 1.0
average = 0.9
largest_rms = { "conv1.conv" = 0.1 }
sides = [[0.4, 20]]
precision = "bfloat16"
channels_last = true
weights = "float16"
augmentation = { crop = 2, flip = true, scale = [0.9, 1.2], colour = 0.1, cutout = 4 }
[training.reduced]
epochs = 1
precision = "float32"
"""

GENERATOR = """
net = "dcgan32-generator"
task = "generate"
chapter = 7
paper = ""
summary = ""
dataset = "mnist"
options = { latent = 5, width = 4, channels = 1 }
output = { size = [28, 28], channels = 1, latent = 5, crop = 2 }
[training]
loop = "adversarial"
system = "SYSTEM"
discriminator = "dcgan32-discriminator"
discriminator_options = { width = 4, channels = 1 }
iterations = 6
batch = 4
discriminator_steps = 2
optimiser = "OPTIMISER"
average = 0.5
grid_every = 3
"""

MANIFESTS = {
    "classifier": CLASSIFIER,
    "elaborate": ELABORATE,
    "gan": GENERATOR.replace("SYSTEM", "gan").replace("OPTIMISER", "adam"),
    "wgan": GENERATOR.replace("SYSTEM", "wgan").replace("OPTIMISER", "rmsprop"),
}

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


@pytest.mark.parametrize(("name", "reports"), [("classifier", 23), ("elaborate", 4), ("gan", 4), ("wgan", 4)])
def test_an_interrupted_training_ends_with_the_very_same_weights(
    name: str, reports: int, model_of: Build, data_dir: Path, tmp_path: Path
) -> None:
    model = model_of(name)
    loop, recipe = read_recipe(model.manifest.training)
    images = DATASETS["mnist"].load(data_dir, "train")

    def live(folder: str, progress: Progress) -> dict[str, Any]:
        torch.manual_seed(3)
        checkpoints = Checkpoints(tmp_path / folder, {}, every_s=0)
        with progress:
            run = Run(model.manifest, images, torch.device("cpu"), checkpoints, progress)
            return loop.train(recipe, run).state_dict()

    expected = live("whole", Progress(name, console=quiet()))
    with pytest.raises(Interrupted):
        live("broken", Interrupting(after=reports))
    found = live("broken", Progress(name, console=quiet()))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


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
    assert manifest.dataset in (DATASETS if manifest.series is None else SERIES)
    y = build_net(manifest.net, manifest.options).eval()(example_of(manifest))
    if manifest.output is not None:
        side = manifest.output.size[0] + 2 * manifest.output.crop
        assert y.shape == (1, manifest.output.channels, side, side)
    elif manifest.series is not None:
        assert y.shape == (1, manifest.series.memorised or 1, len(manifest.series.channels))
    else:
        assert y.shape == (1, len(manifest.labels))
