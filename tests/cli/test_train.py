from pathlib import Path

import pytest
from cli.conftest import Run, write_mnist
from evaluation.packing import digits

from service.settings import Settings
from service.store import Model

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
    assert run("models", "verify", "tiny").exit_code == 0
    assert "RadialBasis" in run("models", "show", "tiny").stdout


def test_a_training_without_data_is_one_sentence(run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPTERHOUSE_DATA_DIR", str(tiny))
    result = run("train", "tiny")
    assert result.exit_code == 2
    assert "`chapterhouse data fetch mnist` downloads it" in result.stderr


def test_an_unknown_model_cannot_be_trained(run: Run) -> None:
    result = run("train", "nobody")
    assert result.exit_code == 2
    assert "There is no model called 'nobody'" in result.stderr
