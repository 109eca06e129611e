from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from doubles import FakeEngine
from unit_pictures import add_lenet, add_units, scribbles

from service.errors import EngineUnavailable, InvalidManifest, InvalidRequest, UnitsNotFound
from service.explanations import UnitsReply
from service.operations.strongest import FILE, UnitLayer, made_path
from service.operations.units import FIRST, MOST, UnitImages
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path / "store", state_dir=tmp_path / "state")


@pytest.fixture
def model(settings: Settings) -> Model:
    """A net whose units have pictures."""
    model = add_lenet(settings.shipped_models_dir)
    add_units(model, scribbles(40))
    return model


@pytest.fixture
async def engine(settings: Settings, model: Model) -> AsyncIterator[LocalEngine]:  # noqa: ARG001 - it serves the model
    async with LocalEngine(ModelStore.of(settings), threads=1) as engine:
        yield engine


@pytest.mark.parametrize("method", ["deconvnet", "guided"])
async def test_nothing_is_sent_back_beside_what_a_unit_sees(
    settings: Settings, model: Model, engine: LocalEngine, method: str
) -> None:
    images_of_units = UnitImages.of(model, settings, layer="C3", units=[3, 11], method=method)  # type: ignore[arg-type]
    answered = await images_of_units.ask(engine)
    assert [len(images) for images in answered] == [9, 9]
    call = Call(model.id, "explain", options=(("layer", "C3"), ("method", method), ("unit", 11)))
    whole, _, strengths = await engine.submit(call, [np.stack([one.image.pixels for one in answered[1]])])
    for one, projection, strength in zip(answered[1], whole[:, 0, 0], strengths[:, 0], strict=True):
        assert one.image.strength == pytest.approx(strength, rel=1e-4)
        assert np.count_nonzero(projection) == np.count_nonzero(one.projection) > 0
        np.testing.assert_array_equal(one.patch, one.image.box.of(one.image.pixels))
        assert one.patch.shape == one.projection.shape
        assert 12 <= min(one.patch.shape[:2]) <= max(one.patch.shape[:2]) <= 14  # fewer in the padding of 2


async def test_a_document_holds_all_that_a_page_needs(settings: Settings, model: Model, engine: LocalEngine) -> None:
    images_of_units = UnitImages.of(model, settings)
    answered = await images_of_units.ask(engine)
    told = UnitsReply.model_validate_json(
        orjson.dumps(images_of_units.document(answered), option=orjson.OPT_SERIALIZE_NUMPY)
    )
    assert (told.layer, told.field, told.images) == ("C3", (14, 14), 40)
    assert [layer.name for layer in told.layers] == ["C1", "S2", "C3", "S4", "C5"]
    assert told.layers[-1].field == (28, 28)
    assert [unit.unit for unit in told.units] == list(range(FIRST))
    first = told.units[0].strongest[0]
    assert np.shape(first.patch) == (first.box.height, first.box.width, 1) == np.shape(first.projection)
    most = max(np.abs(image.projection).max() for unit in told.units for image in unit.strongest)
    assert (told.scale.low, told.scale.high) == pytest.approx((-most, most), rel=1e-3)
    assert told.scale.each
    strengths = [image.strength for image in told.units[0].strongest]
    assert strengths == sorted(strengths, reverse=True)
    assert repr(told) == f"UnitsReply(9 units of C3; unlearned {model.version})"
    assert told.rows()[0]["strongest"] == strengths[0]


async def test_a_picture_shows_every_unit_above_words(settings: Settings, model: Model, engine: LocalEngine) -> None:
    images_of_units = UnitImages.of(model, settings, layer="C5", units=[7])
    alone = images_of_units.draw(await images_of_units.ask(engine))
    several = UnitImages.of(model, settings, layer="C1", units=range(6))
    picture = several.draw(await several.ask(engine))
    for found in (alone, picture):
        assert found.shape[1] > 400
        assert found[-60:].max() > 200


async def test_what_the_engine_met_is_what_the_caller_meets(settings: Settings, model: Model) -> None:
    with pytest.raises(EngineUnavailable):
        await UnitImages.of(model, settings).ask(FakeEngine(EngineUnavailable("none")))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"layer": "F6"}, "layer: there is no layer 'F6' with units; there are C1, S2, C3, S4, C5"),
        ({"layer": "C1", "units": [6]}, f"unit: must be 1 to {MOST} whole numbers from 0 to 5"),
        ({"layer": "C5", "units": range(MOST + 1)}, f"unit: must be 1 to {MOST} whole numbers from 0 to 119"),
        ({"units": []}, f"unit: must be 1 to {MOST} whole numbers from 0 to 15"),
        ({"units": [-1]}, "unit: must be"),
        ({"method": "saliency"}, "method: must be one of deconvnet, guided"),
    ],
)
def test_what_there_is_not_is_refused(settings: Settings, model: Model, asked: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        UnitImages.of(model, settings, **asked)  # type: ignore[arg-type] # what a caller may get wrong
    assert raised.value.detail.startswith(words)


def test_what_was_not_looked_for_is_said_with_the_command_that_does_it(settings: Settings) -> None:
    model = add_lenet(settings.shipped_models_dir)
    with pytest.raises(UnitsNotFound, match=r"`chapterhouse models units unlearned` does.*data fetch mnist"):
        UnitImages.of(model, settings)


def test_those_of_other_weights_are_not_shown(settings: Settings, model: Model) -> None:
    content = (model.folder / FILE).read_bytes()
    (model.folder / FILE).write_bytes(content.replace(b'\\"version\\":\\"untrained', b'\\"version\\":\\"of-before'))
    with pytest.raises(UnitsNotFound, match="were found with the weights of-before"):
        UnitImages.of(model, settings)


def test_those_found_on_this_machine_win(settings: Settings, model: Model) -> None:
    made_path(settings, model.id).parent.mkdir(parents=True)
    (model.folder / FILE).rename(made_path(settings, model.id))
    assert UnitImages.of(model, settings).strongest.description.images == 40
    add_units(model, scribbles(12))
    assert UnitImages.of(model, settings).strongest.description.images == 40


def test_a_damaged_file_is_no_answer(settings: Settings, model: Model) -> None:
    (model.folder / FILE).write_bytes(b"no tensors")
    with pytest.raises(InvalidManifest, match="holds no strongest images"):
        UnitImages.of(model, settings)


def test_a_file_that_lacks_a_layer_is_no_answer(settings: Settings, model: Model) -> None:
    images_of_units = UnitImages.of(model, settings, layer="C1")
    absent = images_of_units.layer.model_copy(update={"name": "C2"})
    with pytest.raises(InvalidManifest, match="C2"):
        images_of_units.strongest.of_unit(absent, 0)


@pytest.mark.parametrize(
    ("place", "box"),
    [(0, (0, 0, 8, 8)), (9, (16, 16, 10, 10)), (11, (20, 20, 8, 8)), (5, (8, 8, 10, 10))],
)
def test_a_place_of_a_map_is_a_part_of_the_image(place: int, box: tuple[int, ...]) -> None:
    layer = UnitLayer(name="conv", units=1, size=(12, 12), field=(10, 10), steps=(2, 2), starts=(-2, -2))
    assert layer.box_at(13 * place, (28, 28)) == box


@pytest.mark.parametrize("layer", ["C1", "S2", "C3", "S4", "C5"])
async def test_the_default_classifier_comes_with_pictures_of_its_units(layer: str) -> None:
    settings = Settings(state_dir=Path("/nonexistent"))
    store = ModelStore.of(settings)
    images_of_units = UnitImages.of(store.get("lenet5-mnist"), settings, layer=layer, units=[1])
    async with LocalEngine(store, threads=1) as engine:
        [images] = await images_of_units.ask(engine)
    assert len(images) == 9
    assert all(one.projection.any() for one in images)
    assert images_of_units.strongest.description.images == 10_000
