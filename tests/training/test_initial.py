from pathlib import Path

import pytest
import torch

from service.errors import InvalidManifest
from service.nets.registry import build_net
from service.nets.weights import load_weights, save_weights
from service.store import Model, ModelStore
from service.training.initial import Initial
from service.training.run import find_nothing

OPTIONS = {"size": 32, "width": 0.125, "dense": (16, 16), "classes": 10, "drawing": "kaiming"}
SHALLOW = ("body.conv1_1", "body.conv2_1", "body.conv3_1", "body.conv3_2", "dense.fc6", "dense.fc7", "fc8")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store with a net A that counts as trained."""
    folder = tmp_path / "vgg11"
    folder.mkdir()
    save_weights(build_net("vgg", {"configuration": "A", **OPTIONS}), folder / "weights.safetensors", half=True)
    return ModelStore(tmp_path)


@pytest.mark.parametrize("configuration", ["B", "C", "D", "E"])
def test_a_deeper_net_begins_with_the_shallow_ones_layers(store: ModelStore, configuration: str) -> None:
    net = build_net("vgg", {"configuration": configuration, **OPTIONS})
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    Initial(model="vgg11", layers=SHALLOW).fill(net, store.get)
    shallow = build_net("vgg", {"configuration": "A", **OPTIONS})
    load_weights(shallow, store.get("vgg11").weights)
    trained = shallow.state_dict()
    for name, tensor in net.state_dict().items():
        layer = name.rpartition(".")[0]
        assert torch.equal(tensor, trained[name] if layer in SHALLOW else before[name]), name


@pytest.mark.parametrize(
    ("layers", "words"),
    [(("conv9",), "the net has no layer 'conv9'"), (("body.conv1_2",), r"vgg11 has no body\.conv1_2\.weight of \(8,")],
)
def test_layers_that_do_not_fit_are_named(store: ModelStore, layers: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidManifest, match=words):
        Initial(model="vgg11", layers=layers).fill(build_net("vgg", {"configuration": "B", **OPTIONS}), store.get)


def test_a_model_that_is_not_trained_yet_is_named(tmp_path: Path) -> None:
    for find in (find_nothing, ModelStore(tmp_path).get, lambda _: Model(tmp_path / "nowhere")):
        with pytest.raises(InvalidManifest, match="`chapterhouse train vgg11` makes them"):
            Initial(model="vgg11", layers=("fc8",)).fill(build_net("vgg", OPTIONS), find)
