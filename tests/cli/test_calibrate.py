from pathlib import Path

import pytest
from cli.conftest import Run, write_mnist
from cli.test_train import TINY
from evaluation.packing import digits

from service.files import file_sha256
from service.imaging import encode_png
from service.schemas import Classification
from service.settings import Settings
from service.store import Model


@pytest.fixture
def tiny(local_settings: Settings, run: Run) -> Path:
    """The folder of a trained model, and the images for it and for what is strange to it."""
    for name in ("mnist", "fashion-mnist"):
        write_mnist(local_settings.data, digits(100, size=28)[..., 0], name)
    folder = local_settings.shipped_models_dir / "tiny"
    folder.mkdir()
    (folder / "model.toml").write_text(TINY, "utf-8")
    assert run("train", "tiny").exit_code == 0
    return folder


def test_a_calibrated_model_says_how_sure_it_may_be_and_how_strange_an_image_is(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "digit.png"
    picture.write_bytes(encode_png(digits(1, size=28)[0]))
    question = ("classify", picture, "--model", "tiny", "--json")
    plain = Classification.model_validate_json(run(*question).stdout)
    assert not plain.calibrated
    assert plain.predictions[0].strangeness is None
    weights = file_sha256(Model(tiny).weights)

    result = run("calibrate", "tiny", "--images", 20)
    assert result.exit_code == 0, result.output
    card = Model(tiny).card
    assert card is not None
    known = card.calibration
    assert known is not None
    assert f"temperature {known.temperature:.4g}  ECE" in result.stdout
    assert "the last 20 training images, which a twin" in known.how
    assert known.nll.after <= known.nll.before  # here test images are those of training
    assert file_sha256(Model(tiny).weights) == weights == card.sha256

    answer = Classification.model_validate_json(run(*question).stdout)
    assert answer.calibrated
    assert answer.strangeness_limit == known.strangeness.limit
    assert answer.predictions[0].strangeness is not None
    assert answer.predictions[0].labels[0].label == plain.predictions[0].labels[0].label
    assert "calibrated" in run("models", "show", "tiny").stdout


def test_a_calibration_that_is_not_the_weights_is_found_and_a_new_training_begins_without(run: Run, tiny: Path) -> None:
    assert run("calibrate", "tiny", "--images", 20).exit_code == 0
    assert run("models", "verify", "tiny").exit_code == 0
    text = (tiny / "card.json").read_text("utf-8")
    known = Model(tiny).calibration
    assert known is not None
    (tiny / "card.json").write_text(text.replace(f'"after": {known.nll.after}', '"after": 9.5'), "utf-8")
    result = run("models", "verify", "tiny")
    assert result.exit_code == 2
    assert "its NLL is" in result.stdout
    assert "→ 9.5" in result.stdout
    assert run("train", "tiny", "--no-resume").exit_code == 0
    assert Model(tiny).calibration is None


def test_without_a_twin_the_test_images_tell_the_temperature_and_the_card_says_so(run: Run, tiny: Path) -> None:
    weights = file_sha256(Model(tiny).weights)
    result = run("calibrate", "tiny", "--on", "test-halves")
    assert result.exit_code == 0, result.output
    known = Model(tiny).calibration
    assert known is not None
    assert known.fitted_on == "test-halves"
    assert "the 100 test images, which this net's weights have not seen" in known.how
    assert file_sha256(Model(tiny).weights) == weights
    assert run("models", "verify", "tiny").exit_code == 0
    text = (tiny / "card.json").read_text("utf-8")
    (tiny / "card.json").write_text(text.replace(f'"temperature": {known.temperature}', '"temperature": 9.5'), "utf-8")
    result = run("models", "verify", "tiny")
    assert result.exit_code == 2
    assert f"its temperature is {known.temperature:.6g}; its card says 9.5" in result.stdout
    # a twin's takes its place
    assert run("calibrate", "tiny", "--images", 20).exit_code == 0
    found = Model(tiny).calibration
    assert found is not None
    assert found.fitted_on == "twin"


def test_images_of_a_twin_are_not_counted_where_there_is_none(run: Run, tiny: Path) -> None:
    result = run("calibrate", "tiny", "--on", "test-halves", "--images", 20)
    assert result.exit_code == 2
    assert "without a twin all test images count" in result.stderr
    assert Model(tiny).calibration is None


def test_scores_that_are_wrong_are_put_right_where_that_is_asked(run: Run, tiny: Path) -> None:
    card = (tiny / "card.json").read_text("utf-8")
    said = f'"value": {Model(tiny).card.scores["accuracy"].value}'  # type: ignore[union-attr]
    (tiny / "card.json").write_text(card.replace(said, '"value": 0.123'), "utf-8")
    assert run("models", "verify", "tiny").exit_code == 2
    assert run("models", "verify", "tiny", "--rescore").exit_code == 0
    assert (tiny / "card.json").read_text("utf-8") == card
    assert run("models", "verify", "tiny").exit_code == 0


def test_a_model_that_was_not_trained_here_cannot_be_calibrated(run: Run) -> None:
    result = run("calibrate", "echo")
    assert result.exit_code == 2
    assert "echo was not trained by a recipe of this store" in result.stderr
