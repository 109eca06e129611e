import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from forms.classifiers import add_classifier, keep_seen, squares

from service.datasets.registry import DATASETS
from service.errors import InvalidManifest
from service.exactness import PLAIN
from service.forms import quantised
from service.forms.form import Place
from service.forms.held_out import FOLDER, held_out_of
from service.forms.registry import possible
from service.forms.training_images import FOLDER as SEEN
from service.forms.training_images import file_for, keep_training_images, training_images_of
from service.forms.verifying import agreement, what_is_wrong
from service.nets.registry import open_net
from service.runtime.calls import Call
from service.runtime.improving import FormChoice
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.classify import Classify

HERE = Place("cpu", 1)
needs_whole_numbers = pytest.mark.skipif(
    "int8" not in possible(HERE), reason="this processor does not add up products of whole numbers"
)


@needs_whole_numbers
def test_a_trained_net_in_8_bits_names_what_the_plain_one_does() -> None:
    settings = Settings()
    model = ModelStore(settings.shipped_models_dir).get("lenet5-mnist")
    images = held_out_of(model, settings.shipped_models_dir / FOLDER)
    assert images is not None
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    with torch.inference_mode():
        plain = Classify().forward(net, [torch.from_numpy(images)], model.manifest)[0].numpy()
        form = quantised.make(model, HERE)
        found = form.logits(torch.from_numpy(images)).numpy()
    assert form.name == "int8"
    assert agreement(plain, found) > 0.95
    assert not what_is_wrong(plain, found, "int8", model.calibration)
    assert not np.allclose(plain, found, atol=1e-4), "it is rounded indeed"


def test_without_training_images_there_is_no_such_form_and_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="no training images of squares"):
        quantised.make(add_classifier(tmp_path), HERE)


def test_images_of_another_size_are_not_taken(tmp_path: Path) -> None:
    model = add_classifier(tmp_path)
    keep_seen(tmp_path, side=32)
    with pytest.raises(InvalidManifest, match="do not have the size"):
        training_images_of(model)


def test_images_are_kept_once_and_for_all_versions_of_a_model(tmp_path: Path) -> None:
    model = add_classifier(tmp_path)
    keep_training_images(model, lambda: squares(200, 28, 1))
    keep_training_images(model, lambda: pytest.fail("they are there"))
    assert len(training_images_of(model)) == 128
    (model.folder / "2").mkdir()
    shutil.copy(model.folder / "model.toml", model.folder / "2")
    assert file_for(Model(model.folder, version="2")) == file_for(model)


@pytest.mark.parametrize("model_id", ["lenet5-mnist", "lenet5-fashion", "lenet5-cifar10"])
def test_every_dataset_ships_training_images_and_none_of_them_is_held_out(model_id: str) -> None:
    settings = Settings()
    model = ModelStore(settings.shipped_models_dir).get(model_id)
    assert model.manifest.dataset in DATASETS
    held_out = held_out_of(model, settings.shipped_models_dir / FOLDER)
    assert held_out is not None
    seen = {image.tobytes() for image in training_images_of(model)}
    assert len(seen) == 128
    assert not seen & {image.tobytes() for image in held_out}


@needs_whole_numbers
@pytest.mark.parametrize("has_images", [True, False])
async def test_a_service_answers_in_it_where_it_is_set_and_else_in_the_plain_form(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, has_images: bool
) -> None:
    shipped, model_id = Settings().shipped_models_dir, "lenet5-mnist"
    shutil.copytree(shipped / model_id, tmp_path / "store" / model_id)
    if has_images:
        shutil.copytree(shipped / SEEN, tmp_path / "store" / SEEN)
    choice = FormChoice("int8", "bfloat16", tmp_path / "forms", shipped / FOLDER)
    with caplog.at_level(logging.ERROR):
        async with LocalEngine(ModelStore(tmp_path / "store"), threads=1, forms=choice) as engine:
            await engine.load(model_id)
            [logits] = await engine.submit(Call(model_id, "classify"), [squares(3, 28, 1)])
            assert logits.shape == (3, 10)
            assert engine.models()[model_id].form == ("int8" if has_images else PLAIN)
    assert ("no training images of mnist" in caplog.text) is not has_images
