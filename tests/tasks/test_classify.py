import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from service.calibration import Calibration, Change, Strangeness
from service.errors import UnreadableImage
from service.imaging import conform, encode_png, read_picture
from service.store import ImageInput, Resample
from service.tasks.classify import Classify, normalise, read_images
from service.tasks.explain import Explain

SEVEN = np.asarray(Image.open(Path(__file__).parents[1] / "data" / "seven.png"))[:, :, None]
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
DIGITS = "0123456789"
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


def test_labels_of_many_images_are_those_of_each() -> None:
    random = np.random.default_rng(0)
    logits = np.concatenate([random.normal(0, 3, (20, 10)), random.integers(-1, 2, (20, 10)), np.zeros((2, 10))])
    for calibration in (None, calibration_of(2.0)):
        together = Classify().finish(logits.astype(np.float32), DIGITS, calibration, 5)
        for row, found in zip(logits.astype(np.float32), together, strict=True):
            [alone] = Classify().finish(row[None], DIGITS, calibration, 5)
            assert found["labels"] == alone["labels"]
            assert found["strangeness"] == (alone["strangeness"] and pytest.approx(alone["strangeness"]))


def test_many_files_are_read_as_each_of_them_is() -> None:
    random = np.random.default_rng(0)
    drawn = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,), ink="light", frame="centred")
    pictures = [random.integers(0, 256, (28, 28, 1), np.uint8), np.zeros((28, 28, 1), np.uint8), SEVEN, 255 - SEVEN]
    files = [*map(encode_png, pictures), b"no image", encode_png(SEVEN[2:]), encode_png(SEVEN)]
    for as_is in (False, True):
        found = read_images(files, drawn, limit_pixels=1 << 20, as_is=as_is)
        for data, image in zip(files, found, strict=True):
            [alone] = read_images([data], drawn, limit_pixels=1 << 20, as_is=as_is)
            if isinstance(image, UnreadableImage) or isinstance(alone, UnreadableImage):
                assert str(image) == str(alone)
            else:
                np.testing.assert_array_equal(image.pixels, alone.pixels)
                assert image.notes == alone.notes
    assert [isinstance(image, UnreadableImage) for image in found] == [data == b"no image" for data in files]


PHOTOS = ImageInput(size=(32, 32), channels=3, mean=(0.0,) * 3, std=(1.0,) * 3, resize=40)


def photograph(height: int, width: int, **options: Any) -> bytes:
    """A JPEG of smooth shapes, with some noise."""
    across, down = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 9, height))
    shapes = np.stack([np.sin(across + phase) * np.cos(down - phase) for phase in (0.0, 1.0, 2.0)], -1)
    noise = np.random.default_rng(0).normal(0, 10, (height, width, 3))
    stream = io.BytesIO()
    Image.fromarray(((shapes + 1) * 110 + 15 + noise).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("sides", "part"),
    [((159, 400), 1), ((160, 401), 1), ((160, 400), 2), ((400, 320), 4), ((900, 642), 2), ((904, 648), 8)],
)
def test_a_jpeg_of_many_pixels_is_read_in_part_says_so_and_looks_the_same(sides: tuple[int, int], part: int) -> None:
    data = photograph(*sides)
    found = Classify().prepare(data, PHOTOS, limit_pixels=1 << 20)
    whole = read_picture(data, limit_pixels=1 << 20)
    wanted = conform(whole.pixels, size=PHOTOS.size, channels=3, shorter=PHOTOS.resize)
    assert whole.pixels.shape[:2] == sides
    assert (found.notes[0] == f"The image was read at 1/{part} of the size that is stored.") == (part > 1)
    off = np.abs(found.pixels[0].astype(int) - wanted)
    assert off.max() <= (0 if part == 1 else 3)
    assert off.mean() <= (0 if part == 1 else 0.5)


def test_a_jpeg_that_is_turned_is_read_in_part_as_well() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = Classify().prepare(photograph(160, 400, exif=exif), PHOTOS, limit_pixels=1 << 20)
    assert found.notes == (
        "The image was turned upright, as the camera noted.",
        "The image was read at 1/2 of the size that is stored.",
        "The image was resized from 200×80 to 32×32.",
    )


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_jpeg_that_is_cut_short_is_refused_although_it_is_read_in_part(cut: float) -> None:
    data = photograph(400, 400)
    with pytest.raises(UnreadableImage):
        Classify().prepare(data[: int(cut * len(data))], PHOTOS, limit_pixels=1 << 20)


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
