from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from service.errors import InvalidManifest, UntrustedWeights
from service.nets.layers import layer_table
from service.nets.registry import NETS, build_net
from service.nets.weights import load_weights, save_weights

# What one item looks like to nets that do not take a 1×32×32 image.
EXAMPLES: dict[str, tuple[int, ...]] = {
    "dcgan32-discriminator": (3, 32, 32),
    "dcgan32-generator": (100,),
}


def example_of(name: str, rows: int) -> Tensor:
    return torch.randn(rows, *EXAMPLES.get(name, (1, 32, 32)))


@pytest.fixture(params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_net_is_its_head_after_its_features(name: str) -> None:
    net = build_net(name).eval()
    x = example_of(name, 3)
    features, head = net.get_submodule("").features, net.get_submodule("").head
    assert isinstance(net, nn.Module)
    torch.testing.assert_close(net(x), head(features(x)))  # type: ignore[operator]


def test_a_row_does_not_depend_on_its_neighbours(name: str) -> None:
    net = build_net(name).eval()
    x = example_of(name, 4)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-5)


def test_every_parameter_appears_in_the_layer_table(name: str) -> None:
    net = build_net(name)
    rows = layer_table(net, example_of(name, 1))
    assert sum(row.parameters for row in rows) == sum(parameter.numel() for parameter in net.parameters())
    assert net.training


def test_weights_come_back_from_disk_as_they_were(name: str, tmp_path: Path) -> None:
    net, other = build_net(name).eval(), build_net(name).eval()
    save_weights(net, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    x = example_of(name, 2)
    assert torch.equal(net(x), other(x))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.safetensors"]


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
