import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doubles import images, likely
from PIL import Image
from unit_pictures import add_lenet, add_units, scribbles

from service.client import models
from service.client.blocking import Client
from service.datasets.mackey_glass import mackey_glass
from service.errors import (
    InvalidRequest,
    InvalidSamples,
    InvalidSeries,
    ModelNotFound,
    UnitsNotFound,
    UnreadableImage,
    WrongTask,
)
from service.imaging import encode_png

GREY = images(200)[0]  # (2, 2, 1)
PNG = encode_png(GREY)
SERIES = mackey_glass(400, seed=5)[:, 0]


def test_the_models_are_named_and_told(place: Any) -> None:
    listed = place.models()
    assert {model.id for model in listed} >= {"echo", "doodle", "murmur"}
    assert "<td>murmur</td><td>forecast</td>" in listed._repr_html_()
    echo = place.model("echo")
    assert (echo.net, echo.task, echo.card["parameters"]) == ("echo", "classify", 1)
    assert repr(echo) == f"ModelDetail(echo {echo.version}: classify)"
    assert place.ready()


def test_a_model_is_loaded_and_let_go(place: Any) -> None:
    place.load("gossiping")
    assert place.model("gossiping").loaded
    place.unload("gossiping")
    assert not place.model("gossiping").loaded
    for ask in (place.load, place.unload, place.model):
        with pytest.raises(ModelNotFound, match="'nobody'"):
            ask("nobody")


def test_an_image_may_be_anything_that_is_one(place: Any, tmp_path: Path) -> None:
    path = tmp_path / "bild für dich.png"
    path.write_bytes(PNG)
    tensor = torch.from_numpy(GREY).permute(2, 0, 1)
    others = (PNG, io.BytesIO(PNG), GREY, GREY[:, :, 0], tensor, Image.fromarray(GREY[:, :, 0]))
    for image, name in ((str(path), str(path)), (path, str(path)), *((other, None) for other in others)):
        answer = place.classify(image, top_k=1)
        [prediction] = answer.predictions
        assert prediction.labels[0].probability == pytest.approx(float(likely(200)[0, 0]), rel=1e-5)
        assert prediction.name == name
    scaled = place.classify(tensor / 127.5 - 1, value_range=(-1, 1), layout="NCHW")
    assert scaled.predictions[0].labels[0].probability == answer.predictions[0].labels[0].probability


def test_several_images_are_answered_in_order_and_an_unreadable_one_in_its_place(place: Any) -> None:
    answer = place.classify([PNG, b"no image", GREY, images(90, 200)], top_k=2)
    found = [prediction.labels[0].probability if prediction.labels else None for prediction in answer.predictions]
    first, other = float(likely(200)[0, 0]), float(likely(90)[0, 0])
    assert found[:1] + found[2:] == pytest.approx([first, first, other, first], rel=1e-5)
    assert answer.predictions[1].error["status"] == 422
    assert repr(answer) == f"Classification(a, ?, a, a, a; echo {answer.version})"
    assert answer._repr_html_().count("<tr>") == 1 + 4 * 2 + 1


def test_more_images_than_fit_into_one_request_are_sent_in_several(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = images(*range(0, 120, 10))
    whole = client.classify(several)
    monkeypatch.setattr(models, "FORM_IMAGES", 5)
    assert client.classify(several) == whole
    monkeypatch.setattr(models, "FORM_BYTES", 100)
    assert client.classify(several) == whole


def test_an_explanation_is_a_picture_or_arrays(place: Any, tmp_path: Path) -> None:
    picture = place.explain(PNG)
    picture.save(tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as opened:
        assert opened.width == 224 + 8 + 224
        assert opened.height > 224  # what it shows is written below
    assert picture._repr_png_() == picture.png
    assert repr(picture).startswith("Explained(saliency of echo")
    found = place.explain_arrays(GREY, method="saliency", label=2)
    np.testing.assert_allclose(found["slopes"], [[0, 0], [10, 0]])
    assert (int(found["label"]), found.label_name, found.layer, found.layers) == (2, "c", None, ())
    assert (found.scale.low, found.scale.high) == pytest.approx((0, 9.85))
    assert repr(found) == f"ExplainedArrays(saliency of echo {found.version}: image, slopes, label, probability)"
    assert "<td>slopes</td><td>2×2</td>" in found._repr_html_()


def test_the_first_label_can_be_asked_about_and_images_taken_as_they_are(place: Any) -> None:
    assert int(place.explain_arrays(GREY, label=0, as_is=True)["label"]) == 0
    assert place.classify(GREY, as_is=True).predictions == place.classify(GREY).predictions
    assert place.explain(GREY, label=0, as_is=True).png == place.explain(GREY, label=0).png


def test_units_are_shown_by_their_strongest_images(place: Any, models_dir: Path) -> None:
    add_units(add_lenet(models_dir), scribbles(12))
    found = place.units("unlearned", layer="C1", units=[5, 2], method="guided")
    assert [(unit.unit, len(unit.strongest)) for unit in found.units] == [(5, 9), (2, 9)]
    assert (found.layer, found.method, found.images) == ("C1", "guided", 12)
    assert found._repr_html_().count("<tr>") == 1 + 2
    assert [unit.unit for unit in place.units("unlearned").units] == list(range(9))
    picture = place.units_picture("unlearned", layer="C1", units=[5])
    assert repr(picture).startswith("Explained(deconvnet of unlearned")
    with Image.open(io.BytesIO(picture.png)) as opened:
        assert opened.width > 400


def test_samples_are_drawn_as_an_array_or_into_a_file(place: Any) -> None:
    drawn = place.generate("doodle", count=9, seed=5)
    assert (drawn.samples.shape, drawn.samples.dtype, len(drawn)) == ((9, 2, 2, 1), np.uint8, 9)
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        told = place.generate_into(file, count=9, seed=5, format="npz")
        assert (told.model, told.seed, told.count) == ("doodle", 5, 9)
    with np.load(io.BytesIO(files[0].getvalue())) as arrays:
        assert np.array_equal(arrays["images"], drawn.samples)
    assert files[0].getvalue() == files[1].getvalue()
    assert repr(drawn) == f"Generated(9 of doodle {drawn.version}, seed 5)"
    with Image.open(io.BytesIO(drawn._repr_png_())) as grid:
        assert grid.size == (3 * 4 + 2, 3 * 4 + 2)
    again = place.generate(seed=place.generate(count=1).seed, count=1)
    assert again.samples.shape == (1, 2, 2, 1)
    assert place.generate(interpolate=3, seed=1).count == 12


def test_a_series_goes_on(place: Any) -> None:
    asked = [place.forecast(history, 5, level=0.9) for history in (SERIES, SERIES.tolist(), torch.from_numpy(SERIES))]
    assert [len(reply.forecast) for reply in asked] == [5, 5, 5]
    assert asked[0] == asked[1] == asked[2]
    assert repr(asked[0]) == f"ForecastReply(5 steps with intervals of 90%; murmur {asked[0].version})"
    assert asked[0]._repr_html_().startswith("<table><caption>5 steps")
    columns = place.forecast(SERIES[:, None], 2, fit=True)
    assert len(columns.forecast[0]) == 1


REFUSALS: list[tuple[Any, type[Exception], str]] = [
    (lambda place: place.units("echo"), UnitsNotFound, "No layer of echo answers with maps"),
    (lambda place: place.units_picture("doodle"), WrongTask, "doodle does generate"),
    (lambda place: place.classify([]), InvalidRequest, "There is no image to classify"),
    (lambda place: place.classify(PNG, model="nobody"), ModelNotFound, "'nobody'"),
    (lambda place: place.classify(PNG, model="doodle"), WrongTask, "doodle does generate"),
    (lambda place: place.classify(PNG, top_k=0), InvalidRequest, "top_k"),
    (lambda place: place.classify(GREY / 255), InvalidRequest, "value_range"),
    (lambda place: place.classify(np.zeros(3)), InvalidSamples, r"shape \(3,\) is no image"),
    (lambda place: place.classify(np.zeros((2, 28, 28))), InvalidSamples, r"several are \(n, H, W, C\)"),
    (lambda place: place.explain(b""), UnreadableImage, "empty"),
    (lambda place: place.explain(images(1, 2)), InvalidSamples, "One image is explained at a time, not 2"),
    (lambda place: place.explain(PNG, layer="conv1"), InvalidRequest, "saliency does not ask for it"),
    (lambda place: place.generate("echo"), WrongTask, "echo does classify"),
    (lambda place: place.generate(count=0), InvalidRequest, "count: Input should be greater than or equal to 1"),
    (lambda place: place.generate_into(io.BytesIO(), count=5000), InvalidRequest, "at most 1,024"),
    (lambda place: place.forecast([1.0, float("nan"), 2.0], 5), InvalidSeries, "history"),
    (lambda place: place.forecast(SERIES, 0), InvalidRequest, "horizon"),
]


def test_refusals_are_the_services_own_errors(place: Any) -> None:
    for ask, error, words in REFUSALS:
        with pytest.raises(error, match=words):
            ask(place)
