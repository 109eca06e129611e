import numpy as np
import pytest
import torch
from PIL import Image

from service.calibration import Calibration, Change, Strangeness
from service.errors import UnreadableImage
from service.imaging import encode_png
from service.store import ImageInput, Resample
from service.tasks.classify import Classify, normalise
from service.tasks.explain import Explain

SPEC = ImageInput(size=(4, 6), channels=3, mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 2.0), pad=1)


def test_a_model_sees_pixels_as_it_was_trained_on_them() -> None:
    images = torch.zeros(2, 4, 6, 3, dtype=torch.uint8)
    images[1] = 255
    x = normalise(images, SPEC)
    assert x.shape == (2, 3, 6, 8)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[0], torch.tensor([-1.0, -0.5, 0.0])[:, None, None].expand(3, 6, 8))
    torch.testing.assert_close(x[1, :, 1:-1, 1:-1], torch.tensor([1.0, 1.5, 0.5])[:, None, None].expand(3, 4, 6))


def test_the_border_is_black_before_it_is_normalised() -> None:
    x = normalise(torch.full((1, 4, 6, 3), 255, dtype=torch.uint8), SPEC)
    border = torch.ones(6, 8, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    torch.testing.assert_close(x[0, 0][border], torch.full((24,), -1.0))


def test_without_a_border_nothing_is_padded() -> None:
    spec = ImageInput(size=(2, 2), channels=1, mean=(0.0,), std=(1.0,))
    assert normalise(torch.zeros(3, 2, 2, 1, dtype=torch.uint8), spec).shape == (3, 1, 2, 2)


def test_an_image_file_becomes_one_row_of_the_models_size() -> None:
    image = np.full((10, 10, 1), 77, np.uint8)
    [row] = Classify().prepare(encode_png(image), SPEC, limit_pixels=100).pixels
    assert row.shape == (4, 6, 3)
    assert (row == 77).all()
    with pytest.raises(UnreadableImage):
        Classify().prepare(encode_png(image), SPEC, limit_pixels=99)


@pytest.mark.parametrize("resample", ["pillow-bilinear", "pillow-bicubic"])
def test_an_image_of_another_size_is_resized_as_the_manifest_says(resample: Resample) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    spec = SPEC.model_copy(update={"resample": resample})
    kind = Image.Resampling.BICUBIC if resample == "pillow-bicubic" else Image.Resampling.BILINEAR
    expected = np.asarray(Image.fromarray(image).resize((6, 4), kind))
    for task in (Classify(), Explain()):
        [row] = task.prepare(encode_png(image), spec, limit_pixels=2400).pixels
        np.testing.assert_array_equal(row, expected)


LABELS = ("a", "b", "c", "d")
LOGITS = np.log(np.array([[0.25, 0.5, 0.25, 1e-9]], np.float32))


def calibration_of(temperature: float, limit: float = 1e9) -> Calibration:
    """One whose strangeness is the energy."""
    change = Change(before=0.2, after=0.1)
    strangeness = Strangeness(method="energy", limit=limit, share=0.05, auroc={})
    return Calibration(temperature=temperature, how="in a test", ece=change, nll=change, strangeness=strangeness)


def test_the_likeliest_labels_come_first_and_equal_ones_in_the_order_of_the_labels() -> None:
    [found] = Classify().finish(LOGITS, LABELS, None, 3)
    assert [(label["label"], label["index"]) for label in found["labels"]] == [("b", 1), ("a", 0), ("c", 2)]
    assert [label["probability"] for label in found["labels"]] == pytest.approx([0.5, 0.25, 0.25])
    [everything] = Classify().finish(LOGITS, LABELS, None, 1000)
    assert len(everything["labels"]) == 4


def test_every_image_has_labels_of_its_own() -> None:
    first, second = Classify().finish(np.concatenate([LOGITS, -LOGITS]), LABELS, None, 1)
    assert [found["labels"][0]["label"] for found in (first, second)] == ["b", "d"]


def test_a_model_that_nobody_has_calibrated_says_nothing_of_strangeness() -> None:
    [found] = Classify().finish(LOGITS, LABELS, None, 1)
    assert found["strangeness"] is None
    assert found["notes"] == []


def test_probabilities_are_those_at_the_temperature_on_the_card() -> None:
    [found] = Classify().finish(LOGITS[:, :3], LABELS, calibration_of(2.0), 3)
    whole = 0.5**0.5 + 2 * 0.25**0.5
    expected = [0.5**0.5 / whole, 0.25**0.5 / whole, 0.25**0.5 / whole]
    assert [label["probability"] for label in found["labels"]] == pytest.approx(expected)


def test_an_image_beyond_the_limit_is_said_to_be_strange() -> None:
    logits = np.array([[9.0, 0.0], [1.0, 0.0]], np.float32)
    usual, strange = Classify().finish(logits, LABELS, calibration_of(1.0, limit=-5.0), 1)
    assert usual["strangeness"] == pytest.approx(-np.log(np.exp(9) + 1))
    assert usual["notes"] == []
    assert strange["strangeness"] == pytest.approx(-np.log(np.exp(1) + 1))
    [note] = strange["notes"]
    assert note.startswith("This image is strange to the model (energy -1.313); only 5 % of its dataset's test images")


def test_what_was_done_to_an_image_is_said_and_can_be_left_out() -> None:
    paper = np.full((60, 60, 1), 230, np.uint8)
    paper[20:40, 28:32] = 20
    spec = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,), ink="light", frame="centred")
    found = Classify().prepare(encode_png(paper), spec, limit_pixels=3600)
    assert found.pixels.shape == (1, 28, 28, 1)
    assert found.pixels[0, 0, 0, 0] == 0
    assert found.notes == (
        "The image was dark on light and was inverted.",
        "The image was cropped to its ink, scaled and centred by its mass.",
    )
    left = Classify().prepare(encode_png(paper), spec, limit_pixels=3600, as_is=True)
    assert left.pixels[0, 0, 0, 0] == 230
    assert left.notes == ("The image was resized from 60×60 to 28×28.",)
