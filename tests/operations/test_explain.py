import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from doubles import FakeEngine, add_card, images

from service.errors import InvalidRequest, UnreadableImage
from service.imaging import encode_png
from service.operations.explain import ASKED, LARGEST, Inspection
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.store import Model, ModelStore
from service.tasks.classify import Prepared
from service.tasks.explain import ARRAYS

LIMIT_PIXELS = 1000
PICTURE = encode_png(images(51)[0])


@pytest.fixture
def echo(store: ModelStore) -> Model:
    return store.get("echo")


@pytest.fixture
def layered(models_dir: Path) -> Model:
    """Echo with a card that tells of three layers, of which two have parameters and maps."""
    folder = models_dir / "echo"
    add_card(folder)
    card = json.loads((folder / "card.json").read_text())
    layer = {"kind": "Conv2d", "kernel": None, "stride": None, "macs": 1, "receptive_field": None}
    card["layers"] = [
        {**layer, "name": "conv1", "output": [6, 2, 2], "parameters": 9},
        {**layer, "name": "conv2", "output": [6, 1, 1], "parameters": 9},
        {**layer, "name": "pool", "output": [6, 1, 1], "parameters": 0},
        {**layer, "name": "output", "output": [4], "parameters": 9},
    ]
    (folder / "card.json").write_text(json.dumps(card))
    return ModelStore(models_dir).get("echo")


async def test_the_arrays_of_a_method_come_by_name(engine: LocalEngine, echo: Model) -> None:
    inspection = Inspection.of(echo, "saliency", label=2)
    image = inspection.prepare(PICTURE, limit_pixels=LIMIT_PIXELS)
    arrays = await inspection.ask(engine, image)
    assert tuple(arrays) == ARRAYS["saliency"]
    assert arrays["label"] == 2
    np.testing.assert_allclose(arrays["slopes"], [[0, 0], [10, 0]])  # Echo's third logit is ten times the third pixel
    document = json.loads(orjson.dumps(inspection.document(arrays, image), option=orjson.OPT_SERIALIZE_NUMPY))
    assert (document["model"], document["version"], document["method"]) == ("echo", echo.version, "saliency")
    assert document["layer"] is None
    assert document["slopes"] == arrays["slopes"].tolist()


async def test_what_was_asked_crosses_as_options_and_nothing_else_does(echo: Model) -> None:
    engine = FakeEngine([np.zeros((1, 2, 2)), np.zeros(1), np.zeros(1), np.zeros(1)])
    inspection = Inspection.of(echo, "occlusion", label=3, square=1)
    await inspection.ask(engine, Prepared(images(51)), deadline=7.0, request_id="r1")
    [(call, _, deadline, request_id)] = engine.calls
    assert call == Call("echo", "explain", options=tuple(call.options))
    asked = {"method": "occlusion", "layer": "", "unit": -1, "label": 3, "square": 1}
    assert dict(call.options) == {**asked, "temperature": 1.0}
    assert (deadline, request_id) == (7.0, "r1")


@pytest.mark.parametrize(
    ("method", "layer"), [("activations", "conv2"), ("deconvnet", "conv2"), ("filters", "conv1"), ("saliency", "")]
)
def test_the_usual_layer_is_the_last_with_maps_and_of_filters_the_first(
    layered: Model, method: str, layer: str
) -> None:
    assert Inspection.of(layered, method).task.layer == layer  # type: ignore[arg-type] # words of a table


def test_the_layer_that_is_named_is_asked(layered: Model) -> None:
    assert Inspection.of(layered, "activations", layer="conv1").task.layer == "conv1"


def test_only_filters_need_no_image(echo: Model) -> None:
    black = Inspection.of(echo, "filters").prepare(b"", limit_pixels=LIMIT_PIXELS)
    assert black.pixels.shape == (1, 2, 2, 1)
    assert not black.pixels.any()
    for method in ASKED.keys() - {"filters"}:
        with pytest.raises(UnreadableImage):
            Inspection.of(echo, method).prepare(b"", limit_pixels=LIMIT_PIXELS)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("guess", {}, "method: must be one of activations, deconvnet, filters, guided, occlusion, saliency"),
        ("saliency", {"layer": "conv1"}, "layer: saliency does not ask for it"),
        (
            "filters",
            {"label": 1, "square": 2},
            "label: filters does not ask for it; square: filters does not ask for it",
        ),
        ("filters", {"unit": -1}, f"unit: must be a whole number from 0 to {LARGEST}"),
        ("occlusion", {"square": 0}, f"square: must be a whole number from 1 to {LARGEST}"),
        ("saliency", {"label": 10**20}, f"label: must be a whole number from 0 to {LARGEST}"),
    ],
)
def test_what_cannot_be_asked_is_refused_field_by_field(
    echo: Model, method: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Inspection.of(echo, method, **options)  # type: ignore[arg-type] # what a caller may get wrong
    assert raised.value.detail == words
    assert raised.value.errors is not None
    assert [error["field"] for error in raised.value.errors] == [part.partition(":")[0] for part in words.split("; ")]
