import shutil
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from training.conftest import write_idx
from training.manifests import CLASSIFIER

from service.datasets.registry import DATASETS
from service.errors import ConfigurationError, DatasetMissing, InvalidRequest
from service.files import file_sha256
from service.store import Model, ModelStore, write_card
from service.training.train import train
from service.training.twin import train_twin


class Make(Protocol):
    """A trained classifier of this id."""

    def __call__(self, model_id: str, manifest: str = ...) -> Model: ...


SHORT = CLASSIFIER.replace("epochs = 12", "epochs = 1").replace("held_out = 20\n", "")


@pytest.fixture
def make(tmp_path: Path, data_dir: Path) -> Make:
    """Trains a classifier of a store."""

    def build(model_id: str, manifest: str = SHORT) -> Model:
        folder = tmp_path / "store" / model_id
        folder.mkdir(parents=True)
        (folder / "model.toml").write_text(manifest, "utf-8")
        card = train(Model(folder), data_dir=data_dir, checkpoint_dir=tmp_path / "checkpoints" / model_id)
        write_card(card, folder / "card.json")
        return Model(folder)

    return build


def whiten_last_images(source: Path, target: Path, count: int) -> None:
    """The same data but for the last training images, which are white."""
    shutil.copytree(source, target)
    images = DATASETS["mnist"].load(source, "train").images[..., 0].copy()
    images[-count:] = 255
    [file] = [file for file in DATASETS["mnist"].files if file.name.startswith("train-images")]
    write_idx(target / "mnist" / file.name, np.ascontiguousarray(images))


def twin_of(model: Model, data_dir: Path, workplace: Path, withheld: int = 30) -> Model:
    store = ModelStore(workplace, model.folder.parent)
    return train_twin(model, workplace, data_dir=data_dir, store=store, withheld=withheld)


def test_a_twin_has_the_same_recipe_and_seed_and_other_weights(make: Make, data_dir: Path, tmp_path: Path) -> None:
    model = make("net")
    before = file_sha256(model.weights)
    twin = twin_of(model, data_dir, tmp_path / "twins")
    assert twin.id == model.id
    assert twin.card is not None
    assert model.card is not None
    assert twin.card.recipe == {**model.card.recipe, "withheld": 30}
    assert twin.weights_sha256 != model.weights_sha256
    assert file_sha256(model.weights) == before


def test_a_twin_never_sees_the_withheld_images(make: Make, data_dir: Path, tmp_path: Path) -> None:
    model = make("net")
    whitened = tmp_path / "data"
    whiten_last_images(data_dir, whitened, 30)
    first = twin_of(model, data_dir, tmp_path / "first")
    assert twin_of(model, whitened, tmp_path / "second").weights_sha256 == first.weights_sha256
    sees_one = twin_of(model, whitened, tmp_path / "third", withheld=29)
    sees_its_own = twin_of(model, data_dir, tmp_path / "fourth", withheld=29)
    assert sees_one.weights_sha256 != sees_its_own.weights_sha256


def test_a_twin_that_is_there_is_not_trained_again(make: Make, data_dir: Path, tmp_path: Path) -> None:
    model = make("net")
    twin = twin_of(model, data_dir, tmp_path)
    again = twin_of(model, tmp_path / "no data here", tmp_path)
    assert again.weights_sha256 == twin.weights_sha256
    with pytest.raises(DatasetMissing):
        twin_of(model, tmp_path / "no data here", tmp_path, withheld=31)


def test_weights_of_others_have_no_twin(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.toml").write_text(SHORT, "utf-8")
    with pytest.raises(InvalidRequest, match="net was not trained by a recipe of this store"):
        twin_of(Model(folder), tmp_path, tmp_path / "twins")


def test_what_begins_as_another_net_begins_as_its_twin(make: Make, data_dir: Path, tmp_path: Path) -> None:
    ancestor = make("ancestor")
    heir = make("heir", SHORT + 'initial = { model = "ancestor", layers = ["C1"] }\n')
    with pytest.raises(ConfigurationError, match="`chapterhouse calibrate ancestor` makes the twin to begin with"):
        twin_of(heir, data_dir, tmp_path / "twins")
    twin_of(ancestor, data_dir, tmp_path / "twins")
    of_twin = twin_of(heir, data_dir, tmp_path / "twins").weights_sha256
    assert of_twin != heir.weights_sha256
