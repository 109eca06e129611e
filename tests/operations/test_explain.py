import json
from pathlib import Path

import numpy as np
import orjson
import pytest
from doubles import FakeEngine, add_card, images
from PIL import Image

from service.errors import InvalidRequest, UnreadableImage
from service.imaging import encode_png
from service.operations.captions import caption_of
from service.operations.explain import ASKED, LARGEST, Inspection
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.classify import Prepared
from service.tasks.methods import ARRAYS

LIMIT_PIXELS = 1000
DIGITS = Path(__file__).parents[1] / "data" / "digits.png"
PICTURE = encode_png(images(51)[0])


@pytest.fixture
def echo(store: ModelStore) -> Model:
    return store.get("echo")


@pytest.fixture
def layered(models_dir: Path) -> Model:
    """Echo with a card that tells of five layers, of which three have parameters and maps."""
    folder = models_dir / "echo"
    add_card(folder)
    card = json.loads((folder / "card.json").read_text())
    layer = {"kind": "Conv2d", "kernel": None, "stride": None, "macs": 1, "receptive_field": None}
    card["layers"] = [
        {**layer, "name": "conv1", "output": [6, 16, 16], "parameters": 9},
        {**layer, "name": "conv2", "output": [6, 12, 8], "parameters": 9},
        {**layer, "name": "conv3", "output": [6, 7, 9], "parameters": 9},
        {**layer, "name": "pool", "output": [6, 8, 8], "parameters": 0},
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
    engine = FakeEngine([np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), *(np.zeros(1) for _ in range(4))])
    inspection = Inspection.of(echo, "occlusion", label=3, square=1)
    await inspection.ask(engine, Prepared(images(51)), deadline=7.0, request_id="r1")
    [(call, _, deadline, request_id)] = engine.calls
    assert call == Call("echo", "explain", options=tuple(call.options))
    asked = {"method": "occlusion", "layer": "", "unit": -1, "label": 3, "square": 1}
    assert dict(call.options) == {**asked, "temperature": 1.0}
    assert (deadline, request_id) == (7.0, "r1")


@pytest.mark.parametrize(
    ("method", "layer"), [("activations", "conv2"), ("deconvnet", "conv3"), ("filters", "conv1"), ("saliency", "")]
)
def test_the_usual_layer_is_the_last_with_maps_to_look_at_and_of_filters_the_first(
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


async def test_no_picture_of_forty_digits_is_blank() -> None:
    """The first test images of MNIST: of seven of them the probability rounds to 1 wherever the square lies."""
    store = ModelStore(Settings().shipped_models_dir)
    with Image.open(DIGITS) as sheet:
        digits = np.asarray(sheet).reshape(5, 28, 8, 28).swapaxes(1, 2).reshape(40, 28, 28, 1)
    inspection = Inspection.of(store.get("lenet5-mnist"), "occlusion")
    async with LocalEngine(store, threads=1) as engine:
        for digit in digits:
            image = inspection.prepare(encode_png(digit), limit_pixels=LIMIT_PIXELS)
            heat = inspection.draw(await inspection.ask(engine, image), image)[:224, -224:]
            assert (heat.min(), heat.max()) == (0, 255)
            assert heat.std(axis=(0, 1)).max() > 10


async def test_a_picture_tells_its_model_layer_and_scale_below_also_where_the_id_is_long(
    engine: LocalEngine, models_dir: Path
) -> None:
    name = "echo-" + "of-an-echo-" * 8 + "-echo"
    (models_dir / "echo").rename(models_dir / name)
    inspection = Inspection.of(ModelStore(models_dir).get(name), "occlusion")
    image = inspection.prepare(PICTURE, limit_pixels=LIMIT_PIXELS)
    arrays = await inspection.ask(engine, image)
    lines = caption_of(inspection.model, inspection.task, arrays)
    assert lines == (
        f"{name} untrained: occlusion of a",
        "Log-odds behind a grey square of 1×1 pixels; in the whole image 0.901 (p 0.711).",
    )
    below = inspection.draw(arrays, image)[224:]
    rows = np.flatnonzero((below > 200).any(axis=(1, 2)))
    assert (np.diff(rows) > 3).sum() >= 4  # three lines for the id, one for what is drawn, one for its scale


@pytest.mark.parametrize(
    ("method", "shape", "words"),
    [
        ("activations", (1, 6, 9, 8), ("activations of layer conv1", "6 maps of 9×8; above each its unit, its least")),
        ("activations", (1, 6, 1, 1), ("activations of layer conv1", "6 maps of 1×1; above each its unit, its value.")),
        ("activations", (1, 512, 8, 8), ("activations of layer conv1", "the first 400 of 512 maps of 8×8; above")),
        ("filters", (1, 6, 3, 5, 5), ("filters of layer conv1", "6 kernels of 5×5, one for each unit.")),
        ("filters", (1, 1, 1, 5, 5), ("filters of layer conv1", "1 kernel of 5×5, one for each unit.")),
        ("filters", (1, 6, 16, 5, 5), ("filters of layer conv1", "96 kernels of 5×5, 16 for each unit, one an input.")),
        ("guided", (1, 9, 1, 2, 2), ("the strongest units of layer conv1, sent back", "9 projections of 2×2; above")),
    ],
)
async def test_what_is_drawn_is_told_in_words(
    layered: Model, method: str, shape: tuple[int, ...], words: tuple[str, str]
) -> None:
    units = np.arange(shape[1])[None]
    inspection = Inspection.of(layered, method, layer="conv1")  # type: ignore[arg-type] # words of a table
    answered = [np.ones(shape), *[units] * (len(ARRAYS[inspection.task.method]) - 1)]
    arrays = await inspection.ask(FakeEngine(answered), Prepared(images(51)))
    lines = caption_of(layered, inspection.task, arrays)
    for line, beginning in zip(lines, words, strict=True):
        assert line.removeprefix(f"echo {layered.version}: ").startswith(beginning)
    document = inspection.document(arrays, Prepared(images(51)))
    assert (document["layer"], document["layers"]) == ("conv1", ("conv1", "conv2", "conv3", "pool"))
    assert document["units"].tolist() == units[0].tolist()


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
