import json
from pathlib import Path

import pytest
from cli.conftest import Run
from doubles import images, likely

from service.imaging import encode_png
from service.schemas import Classification
from service.store import ModelStore


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "bright.png"
    path.write_bytes(encode_png(images(200)[0]))
    return path


def test_each_image_gets_its_likeliest_labels(
    where: tuple[str, ...], run: Run, picture: Path, store: ModelStore
) -> None:
    result = run("classify", picture, picture, "--top-k", 2, "--json", *where)
    assert result.exit_code == 0, result.output
    answer = Classification.model_validate_json(result.stdout)
    assert (answer.model, answer.version) == ("echo", store.get("echo").version)
    assert [prediction.name for prediction in answer.predictions] == [str(picture)] * 2
    for prediction in answer.predictions:
        assert [label.label for label in prediction.labels] == ["a", "b"]
        assert prediction.labels[0].probability == pytest.approx(float(likely(200)[0, 0]), rel=1e-5)


def test_an_unreadable_image_is_said_in_its_place_and_is_the_exit_status(
    where: tuple[str, ...], run: Run, picture: Path, tmp_path: Path
) -> None:
    text, missing = tmp_path / "notes.txt", tmp_path / "nowhere.png"
    text.write_text("no image")
    result = run("classify", text, picture, missing, *where)
    assert result.exit_code == 2
    first, second, third = result.stdout.splitlines()
    assert "notes.txt" in first
    assert "not one of the formats" in first
    assert "a 99" in second
    assert third.endswith("not read: No such file or directory.")
    assert result.stderr == "chapterhouse: 2 of 3 images could not be read.\n"


def test_errors_stand_in_the_json_too(run: Run, tmp_path: Path) -> None:
    result = run("classify", tmp_path / "nowhere.png", "--json")
    assert result.exit_code == 2
    [prediction] = json.loads(result.stdout)["predictions"]
    assert prediction["error"]["title"] == "The image cannot be read"


def test_more_images_than_a_batch_are_classified_in_order(run: Run, tmp_path: Path) -> None:
    paths = []
    for place in range(20):
        paths.append(tmp_path / f"{place}.png")
        paths[-1].write_bytes(encode_png(images(10 * place)[0]))
    answer = Classification.model_validate_json(run("classify", *paths, "--json", "--top-k", 1).stdout)
    found = [prediction.labels[0].probability for prediction in answer.predictions]
    assert found == pytest.approx([float(likely(10 * place)[0, 0]) for place in range(20)], rel=1e-5)


@pytest.mark.parametrize(
    ("model", "words"), [("nobody", "There is no model called 'nobody'"), ("doodle", "doodle does generate")]
)
def test_another_model_is_refused_in_one_sentence(model: str, words: str, run: Run, picture: Path) -> None:
    result = run("classify", picture, "--model", model)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"chapterhouse: {words}")
