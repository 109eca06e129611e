from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from registering import classes_in, file_of, left_out
from torch import Tensor, nn

from service import nets
from service.errors import InvalidManifest, UntrustedWeights
from service.nets.layers import layer_table
from service.nets.registry import NETS, build_net, open_net
from service.nets.weights import load_weights, save_weights
from service.settings import Settings
from service.store import Manifest, Model
from service.training.train import example_of as item_of

# How a net is built, and what one item looks like to it, where that is not as its first manifest says.
SMALL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "alexnet": (
        {"size": 32, "stem": (5, 1, 2), "widths": (8, 8, 8, 8, 8), "dense": (16, 16), "classes": 10},
        (3, 32, 32),
    ),
    "alexnet-owt": ({"size": 63, "dense": (16, 16), "classes": 10}, (3, 63, 63)),
    "cuda-convnet": ({"maps": (8, 8, 8)}, (3, 32, 32)),
    "cwrnn": ({"inputs": 2, "units": 9, "groups": 2}, (6, 2)),
    "cwrnn-classifier": ({"units": 12}, (1, 28, 28)),
    "dcgan32-autoencoder": ({}, (3, 32, 32)),
    "dcgan32-discriminator": ({}, (3, 32, 32)),
    "dcgan32-generator": ({}, (100,)),
    "dcgan32-generators": ({"width": 8}, (101,)),
    "dcgan32-minibatch-discriminator": ({"width": 8, "kernels": 10}, (3, 32, 32)),
    "esn": ({"channels": 2, "inputs": 1, "units": 20, "connections": 5}, (6, 3)),
    "esn-classifier": ({"units": 20}, (1, 28, 28)),
    "googlenet": ({"size": 64, "width": 0.125, "classes": 10}, (3, 64, 64)),
    "googlenet-bn": ({"classes": 10}, (3, 32, 32)),
    "inception-fid": ({}, (3, 75, 75)),
    "lstm": ({"inputs": 2, "units": 4, "groups": 2}, (6, 2)),
    "mlp": ({}, (1, 28, 28)),
    "mobilenet": ({"width": 0.25, "classes": 10}, (3, 32, 32)),
    "nin": ({"width": 0.125}, (3, 32, 32)),
    "rnn": ({"inputs": 2, "units": 4}, (6, 2)),
    "toy-autoencoder": ({}, (2,)),
    "toy-discriminator": ({}, (2,)),
    "toy-generator": ({}, (2,)),
    "toy-generators": ({}, (3,)),
    "toy-minibatch-discriminator": ({}, (2,)),
    "vgg": ({"size": 32, "width": 0.125, "dense": (16, 16), "classes": 10}, (3, 32, 32)),
    "xception": ({"width": 0.125, "middle": 1, "classes": 10}, (3, 64, 64)),
    "zfnet": ({"size": 64, "widths": (8, 8, 8, 8, 8), "dense": (16, 16), "classes": 10}, (3, 64, 64)),
}

SEE_NEIGHBOURS = {
    "dcgan32-minibatch-discriminator",
    "toy-minibatch-discriminator",
}  # what it is for; no such net is ever served


def manifest_of(name: str) -> Manifest:
    """The first manifest of the store that names a net; the test fails where there is none."""
    models = [Model(path.parent) for path in sorted(Settings().shipped_models_dir.glob("*/model.toml"))]
    named = [model.manifest for model in models if model.manifest.net == name]
    if not named:
        pytest.fail(
            f"no models_store/<id>/model.toml has net = {name!r}, so that nobody can train or serve it; write one, or "
            "for a net that is only used beside others a line in SMALL of tests/nets/test_registry.py"
        )
    return named[0]


def options_of(name: str) -> Mapping[str, Any]:
    return SMALL[name][0] if name in SMALL else manifest_of(name).options


def small(name: str) -> nn.Module:
    return build_net(name, options_of(name))


def example_of(name: str, rows: int) -> Tensor:
    return torch.randn(rows, *(SMALL[name][1] if name in SMALL else item_of(manifest_of(name)).shape[1:]))


@pytest.fixture(params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    torch.manual_seed(0)
    return str(request.param)


def test_every_net_is_in_the_registry() -> None:
    defined = [net for net in classes_in(nets, nn.Module) if hasattr(net, "features") and hasattr(net, "head")]
    assert not (told := left_out(defined, NETS, "NETS")), told


def test_a_net_is_its_head_after_its_features(name: str) -> None:
    where = f"{file_of(NETS[name])}: {NETS[name].__name__}"
    assert hasattr(NETS[name], "features"), f"{where} needs features(x), of which extractors and /explain make use"
    assert hasattr(NETS[name], "head"), f"{where} needs head(features), the rest of forward(x)"
    net = small(name).eval()
    x = example_of(name, 3)
    features, head = net.get_submodule("").features, net.get_submodule("").head
    torch.testing.assert_close(net(x), head(features(x)))  # type: ignore[operator]


@pytest.mark.parametrize("name", [name for name in NETS if name not in SEE_NEIGHBOURS])
def test_a_row_does_not_depend_on_its_neighbours(name: str) -> None:
    torch.manual_seed(0)
    net = small(name).eval()
    x = example_of(name, 4)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-5)


def test_every_parameter_appears_in_the_layer_table(name: str) -> None:
    net = small(name)
    rows = layer_table(net, example_of(name, 1))
    missing = sum(parameter.numel() for parameter in net.parameters()) - sum(row.parameters for row in rows)
    assert not missing, f"{missing} parameters of {name} lie in no module without children, where layers are counted"
    assert net.training


def test_weights_come_back_from_disk_as_they_were(name: str, tmp_path: Path) -> None:
    net = small(name).eval()
    save_weights(net, tmp_path / "weights.safetensors")
    other = open_net(name, options_of(name), tmp_path / "weights.safetensors")
    x = example_of(name, 2)
    assert torch.equal(net(x), other(x))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


def test_no_weights_are_drawn_that_are_read_from_a_file(tmp_path: Path) -> None:
    save_weights(build_net("lenet5"), tmp_path / "weights.safetensors")
    drawn = torch.get_rng_state()
    open_net("lenet5", {}, tmp_path / "weights.safetensors")
    assert torch.equal(torch.get_rng_state(), drawn)


def test_half_precision_on_disk_is_widened(tmp_path: Path) -> None:
    net = build_net("lenet5")
    save_weights(build_net("lenet5").half(), tmp_path / "half.safetensors")
    load_weights(net, tmp_path / "half.safetensors")
    assert {tensor.dtype for tensor in net.parameters()} == {torch.float32}


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    save_weights(build_net("dcgan32-generator"), tmp_path / "weights.safetensors")
    with pytest.raises(UntrustedWeights, match=r"weights\.safetensors does not hold the weights of this net"):
        load_weights(build_net("lenet5"), tmp_path / "weights.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(UntrustedWeights):
        load_weights(build_net("lenet5"), tmp_path / "weights.safetensors")


def test_an_unknown_net_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidManifest, match=r"'lenet6'; there are .*lenet5"):
        build_net("lenet6")


def test_an_option_that_a_net_does_not_have_is_named() -> None:
    with pytest.raises(InvalidManifest, match=r"dcgan32-generator.*depth"):
        build_net("dcgan32-generator", {"depth": 3})
