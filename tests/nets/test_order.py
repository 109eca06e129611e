"""What counts of parameters do not show: in what order layers follow, and the papers' constants."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.nets.activations import Squash
from service.nets.initialisation import initialise_kaiming, initialise_xavier, scaled
from service.nets.normalisation import ResponseNorm
from service.nets.registry import build_net

SMALL: dict[str, tuple[dict[str, Any], int]] = {
    "alexnet": ({"size": 63, "widths": (8,) * 5, "dense": (8, 8)}, 63),
    "alexnet-owt": ({"size": 63, "dense": (8, 8)}, 63),
    "cuda-convnet": ({}, 32),
    "googlenet": ({"width": 0.125, "size": 64, "auxiliary": True}, 64),
    "googlenet-bn": ({"auxiliary": True}, 64),
    "lenet5": ({"channels": 3}, 32),
    "mlp": ({"inputs": 3 * 8 * 8}, 8),
    "mobilenet": ({"width": 0.25}, 32),
    "nin": ({"width": 0.125}, 32),
    "vgg": ({"configuration": "A", "size": 32, "width": 0.125, "dense": (8, 8)}, 32),
    "xception": ({"width": 0.125, "middle": 1}, 64),
    "zfnet": ({"size": 64, "widths": (8,) * 5, "dense": (8, 8)}, 64),
}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build_net(name, SMALL[name][0])


def note_calls(module: nn.Module) -> list[str]:
    """The layers of a module in the order in which they will be called."""
    called: list[str] = []
    for name, layer in module.named_modules():
        if not any(layer.children()):
            layer.register_forward_hook(lambda *_, name=name: called.append(name))
    return called


def order_of(name: str) -> str:
    """The layers of a net as a forward pass comes through them."""
    net, side = on_meta(name).eval(), SMALL[name][1]
    called = note_calls(net)
    net(torch.empty(1, 3, side, side, device="meta"))
    return " ".join(called)


ORDERS = {
    "alexnet": "conv1 activation norm1 pool1 conv2 activation norm2 pool2 conv3 activation conv4 activation conv5 "
    "activation pool5 fc6 activation dropout fc7 activation dropout fc8",
    "alexnet-owt": "conv1 activation pool1 conv2 activation pool2 conv3 activation conv4 activation conv5 activation "
    "pool5 dropout fc6 activation dropout fc7 activation fc8",
    "cuda-convnet": "body.conv1 body.relu1 body.pool1 body.conv2 body.relu2 body.pool2 body.conv3 body.relu3 "
    "body.pool3 output",
    "lenet5": "C1 squash S2 squash C3 squash S4 squash C5 squash F6 squash output",
    "mlp": "body.dense1 body.squash1 body.dense2 body.squash2 output",
    "vgg": "body.conv1_1 body.relu1_1 body.pool1 body.conv2_1 body.relu2_1 body.pool2 "
    "body.conv3_1 body.relu3_1 body.conv3_2 body.relu3_2 body.pool3 "
    "body.conv4_1 body.relu4_1 body.conv4_2 body.relu4_2 body.pool4 "
    "body.conv5_1 body.relu5_1 body.conv5_2 body.relu5_2 body.pool5 "
    "dense.fc6 dense.relu6 dense.dropout6 dense.fc7 dense.relu7 dense.dropout7 fc8",
    "zfnet": "conv1 relu pool1 norm1 conv2 relu pool2 norm2 conv3 relu conv4 relu conv5 relu pool5 "
    "fc6 relu dropout fc7 relu dropout fc8",
}


@pytest.mark.parametrize("name", ORDERS)
def test_layers_follow_as_the_authors_have_them(name: str) -> None:
    assert order_of(name) == ORDERS[name]


def test_googlenet_normalises_behind_its_first_pool_and_before_its_second() -> None:
    order = order_of("googlenet")
    assert order.startswith(
        "conv1.conv conv1.relu pool1 norm1 reduce2.conv reduce2.relu conv2.conv conv2.relu norm2 pool2 "
    )
    assert " pool3 inception4a.one.conv " in order
    assert " pool4 inception5a.one.conv " in order
    assert order.endswith(" average dropout output")


def test_an_inceptions_branches_lie_side_by_side_in_table_ones_order() -> None:
    inception = build_net("googlenet", SMALL["googlenet"][0]).get_submodule("inception3a").eval()
    x = torch.randn(1, 24, 8, 8)

    def through(*names: str) -> Tensor:
        y = x
        for name in names:
            y = inception.get_submodule(name)(y)
        return y

    branches = [through("one"), through("reduce3", "three"), through("reduce5", "five"), through("pool", "project")]
    assert [branch.shape[1] for branch in branches] == [8, 16, 4, 4]
    torch.testing.assert_close(inception(x), torch.cat(branches, dim=1))


def test_an_auxiliary_classifier_is_rectified_before_it_drops_out() -> None:
    net = build_net("googlenet", SMALL["googlenet"][0]).eval()
    called = note_calls(net.get_submodule("aux2"))
    main, first, second = net.all_heads(torch.randn(2, 3, 64, 64))  # type: ignore[operator]
    assert called == ["pool", "reduce.conv", "reduce.relu", "dense", "relu", "dropout", "output"]
    assert not torch.allclose(first, second)
    assert main.shape == first.shape


def test_what_is_called_a_unit_of_a_kind_is_one() -> None:
    for name in SMALL:
        for path, layer in on_meta(name).named_modules():
            last = path.rpartition(".")[2].rstrip("0123456789_")
            assert type(layer) is {"relu": nn.ReLU, "squash": Squash}.get(last, type(layer)), path


@pytest.mark.parametrize("name", ["alexnet", "alexnet-owt", "googlenet", "googlenet-bn", "nin", "vgg", "zfnet"])
def test_what_pools_takes_the_largest(name: str) -> None:
    pools = {type(module) for path, module in on_meta(name).named_modules() if "pool" in path and "aux" not in path}
    assert pools - {nn.Identity} == {nn.MaxPool2d}


def test_xceptions_blocks_begin_with_a_rectification_but_for_the_first() -> None:
    order = order_of("xception")
    assert order.startswith("conv1 norm1 relu conv2 norm2 relu body.block1.body.conv1.depthwise ")
    for block in (2, 3, 4, 5):
        assert order.index(f" body.block{block}.") == order.index(f" body.block{block}.body.relu1 ")
    assert order.endswith(
        " conv3.pointwise norm3 relu conv4.depthwise conv4.pointwise norm4 relu average dropout output"
    )


def test_xceptions_shortcut_is_added() -> None:
    block = build_net("xception", SMALL["xception"][0]).get_submodule("body.block4").eval()
    x = torch.randn(1, 91, 5, 5)
    torch.testing.assert_close(block(x), block.get_submodule("body")(x) + x)


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("alexnet", {0.5}),
        ("alexnet-owt", {0.5}),
        ("googlenet", {0.4, 0.7}),
        ("googlenet-bn", {0.2, 0.7}),
        ("mobilenet", {0.001}),
        ("nin", {0.5}),
        ("vgg", {0.5}),
        ("xception", {0.5}),
        ("zfnet", {0.5}),
    ],
)
def test_the_share_that_is_dropped_is_the_papers(name: str, shares: set[float]) -> None:
    assert {module.p for module in on_meta(name).modules() if isinstance(module, nn.Dropout)} == shares


@pytest.mark.parametrize("name", ["googlenet-bn", "mobilenet", "xception"])
def test_batch_normalisation_adds_the_publishers_thousandth_to_the_variance(name: str) -> None:
    assert {module.eps for module in on_meta(name).modules() if isinstance(module, nn.BatchNorm2d)} == {0.001}


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "zfnet"])
def test_responses_are_normalised_with_alexnets_constants(name: str) -> None:
    norms = [module for module in on_meta(name).modules() if isinstance(module, ResponseNorm)]
    assert {(norm.n, norm.k, norm.alpha, norm.beta) for norm in norms} == {(5, 2.0, 1e-4, 0.75)}
    assert len(norms) == 2


def biases(net: nn.Module) -> set[float]:
    layers = (module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear)))
    return {value for layer in layers if layer.bias is not None for value in layer.bias.tolist()}


def test_googlenets_biases_begin_as_in_bvlcs_reimplementation() -> None:
    options = {**SMALL["googlenet"][0], "classes": 10}
    assert biases(build_net("googlenet", options)) == {torch.tensor(0.2).item()}
    assert biases(build_net("googlenet", {**options, "drawing": "kaiming"})) == {0.0}


@pytest.mark.parametrize(("name", "layer", "std"), [("nin", "body.conv2", 0.05), ("zfnet", "fc6", 0.01)])
def test_filters_begin_with_the_authors_deviation_and_no_bias(name: str, layer: str, std: float) -> None:
    options = {**SMALL[name][0], "dense": (256, 256)} if name == "zfnet" else {"width": 0.5}
    net = build_net(name, options)
    assert net.get_parameter(f"{layer}.weight").std().item() == pytest.approx(std, rel=0.05)
    assert biases(net) == {0.0}


def test_weights_are_drawn_from_the_laws_that_he_and_glorot_give() -> None:
    he, glorot = nn.Linear(200, 500), nn.Linear(200, 500)
    initialise_kaiming(he)
    initialise_xavier(glorot, bias=0.25)
    assert he.weight.std().item() == pytest.approx((2 / 200) ** 0.5, rel=0.02)
    assert he.weight.abs().max().item() > 3.5 * (2 / 200) ** 0.5  # a normal law has tails
    bound = (6 / 700) ** 0.5
    assert 0.99 * bound < glorot.weight.abs().max().item() <= bound
    assert (biases(he), biases(glorot)) == ({0.0}, {0.25})


def test_a_width_rounds_to_the_nearest_number_of_maps() -> None:
    assert [scaled(maps, 0.25) for maps in (1, 6, 7, 9, 10, 14)] == [1, 2, 2, 2, 2, 4]


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_lecuns_nets_begin_within_his_bounds_biases_too(name: str) -> None:
    net = build_net(name, {} if name == "lenet5" else {"hidden": (300, 100)})
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 3
    for layer in layers:
        bound = 2.4 / layer.weight[0].numel()  # of its fan-in
        assert layer.bias is not None
        for drawn in (layer.weight, layer.bias):
            assert 0.5 * bound < drawn.abs().max().item() <= bound


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dcgan32-autoencoder", {}),
        ("dcgan32-discriminator", {}),
        ("dcgan32-minibatch-discriminator", {"width": 8, "kernels": 4}),
    ],
)
def test_what_looks_at_images_leaks_a_fifth_of_what_is_below_nothing(name: str, options: dict[str, Any]) -> None:
    leaks = [layer.negative_slope for layer in build_net(name, options).modules() if isinstance(layer, nn.LeakyReLU)]
    assert set(leaks) == {0.2}
    assert len(leaks) == (5 if name == "dcgan32-autoencoder" else 3)
