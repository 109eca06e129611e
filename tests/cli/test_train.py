from pathlib import Path

import pytest
from cli.conftest import Run, write_mnist
from evaluation.packing import digits

from service.settings import Settings
from service.store import Model, write_card

TINY = """
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
epochs = 1
batch = 50
rate = 1e-3
held_out = 0
"""

TOY = """
net = "toy-generator"
task = "generate"
chapter = 7
paper = ""
summary = ""
dataset = "ring-8"
options = { width = 8 }
points = { latent = 2, modes = [[1.0, 0.0], [-1.0, 0.0]], deviation = 10.0 }
[training]
loop = "adversarial"
system = "gan"
stack = 2
discriminator = "toy-discriminator"
discriminator_options = { width = 8 }
iterations = 3
appraised = { every = 3 }
"""


@pytest.fixture
def toy(local_settings: Settings) -> Path:
    """The folder of a generator of points."""
    folder = local_settings.shipped_models_dir / "toy"
    folder.mkdir()
    (folder / "model.toml").write_text(TOY, "utf-8")
    return folder


@pytest.fixture
def tiny(local_settings: Settings) -> Path:
    """The folder of a model that can be trained in a moment, and the images for it."""
    write_mnist(local_settings.data, digits(100, size=28)[..., 0])
    folder = local_settings.shipped_models_dir / "tiny"
    folder.mkdir()
    (folder / "model.toml").write_text(TINY, "utf-8")
    return folder


def test_a_trained_model_lies_in_the_store_with_its_card_and_is_what_it_says(run: Run, tiny: Path) -> None:
    result = run("train", "tiny", "--seed", 3)
    assert result.exit_code == 0, result.output
    card = Model(tiny).card
    assert card is not None
    assert card.seed == 3
    assert card.scores["accuracy"].how.endswith("of 100 images")
    assert (
        result.stdout
        == f"tiny  accuracy {card.scores['accuracy'].value:.6g} on mnist test ({card.scores['accuracy'].how})\n"
    )
    assert sorted(path.name for path in tiny.iterdir()) == ["card.json", "model.toml", "weights.safetensors"]
    assert "RadialBasis" in run("models", "show", "tiny").stdout


def test_a_model_whose_score_is_measured_again_is_what_its_card_says_or_not(run: Run, tiny: Path) -> None:
    assert run("train", "tiny").exit_code == 0
    card = Model(tiny).card
    assert card is not None
    accuracy = card.scores["accuracy"]
    result = run("models", "verify", "tiny")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"tiny  {card.sha256[:12]} is what its card says, accuracy {accuracy.value:.6g}\n"
    for claimed, status in ((accuracy.value + 0.0009, 0), (accuracy.value + 0.0011, 2)):
        scores = {"accuracy": accuracy.model_copy(update={"value": claimed})}
        write_card(card.model_copy(update={"scores": scores}), tiny / "card.json")
        result = run("models", "verify", "tiny")
        assert result.exit_code == status
    assert f"its accuracy is {accuracy.value:.6g} on mnist test; its card says {claimed:.6g}" in result.stdout
    assert run("models", "verify", "tiny", "--files").exit_code == 0


def test_a_score_that_cannot_be_measured_is_not_passed_over(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train", "tiny").exit_code == 0
    monkeypatch.setenv("CHAPTERHOUSE_DATA_DIR", str(tiny))
    result = run("models", "verify", "tiny")
    assert result.exit_code == 2
    assert "its scores cannot be measured" in result.stdout
    assert "`chapterhouse data fetch mnist` downloads it" in result.stdout


def test_a_training_without_data_is_one_sentence(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_DATA_DIR", str(tiny))
    result = run("train", "tiny")
    assert result.exit_code == 2
    assert "`chapterhouse data fetch mnist` downloads it" in result.stderr


def test_an_unknown_model_cannot_be_trained(run: Run) -> None:
    result = run("train", "nobody")
    assert result.exit_code == 2
    assert "There is no model called 'nobody'" in result.stderr


def test_a_generator_of_points_is_scored_by_the_modes_it_covers_and_its_training_can_be_looked_at(
    run: Run, toy: Path, local_settings: Settings
) -> None:
    result = run("train", "toy")
    assert result.exit_code == 0, result.output
    card = Model(toy).card
    assert card is not None
    assert {name: score.value for name, score in card.scores.items()}.keys() == {"modes", "good", "reverse_kl"}
    assert card.scores["good"].value == 1.0
    assert card.scores["modes"].how.startswith("2,500 points of seed 0")
    assert card.noticed == ("iteration 3: 0 of 8 modes are covered",)
    assert {"modes", "modes_deviation", "good_deviation", "reverse_kl_deviation"} <= card.ending.keys()
    assert sorted(path.name for path in toy.iterdir()) == [
        "card.json",
        "model.toml",
        "recording.safetensors",
        "weights.safetensors",
    ]
    workplace = local_settings.state / "training" / "toy"
    assert {"curves.png", "history.jsonl", "samples-000003.png"} <= {path.name for path in workplace.iterdir()}


def test_a_training_that_is_told_to_end_says_why_and_leaves_no_weights(run: Run, toy: Path) -> None:
    (toy / "model.toml").write_text(TOY + 'watched = { stop = ["collapse"] }\n', "utf-8")
    result = run("train", "toy")
    assert result.exit_code != 0
    assert "The training was stopped: collapse at iteration 3: 0 of 8 modes are covered." in result.stderr
    assert [path.name for path in toy.iterdir()] == ["model.toml"]
