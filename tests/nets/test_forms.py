"""The options that turn a paper's net into another experiment."""

from typing import Any

import pytest
import torch
from torch import nn

from service.errors import InvalidManifest
from service.nets.alexnet import AlexNet
from service.nets.googlenet import GoogLeNet
from service.nets.layers import count_macs, count_parameters, layer_table
from service.nets.mlp import MLP
from service.nets.mobilenet import MobileNet
from service.nets.nin import NIN
from service.nets.normalisation import ResponseNorm
from service.nets.registry import build_net
from service.nets.vgg import VGG
from service.nets.zfnet import ZFNet

IMAGE = torch.randn(2, 3, 32, 32)
SMALL: dict[str, Any] = {
    "size": 32, "stem": (5, 1, 2), "widths": (8, 8, 8, 8, 8), "dense": (16, 16), "classes": 10
}  # fmt: skip


def kinds(net: nn.Module) -> list[str]:
    return [type(module).__name__ for module in net.modules()]


def test_alexnets_ideas_can_be_switched_off_one_by_one() -> None:
    published = AlexNet(**SMALL)
    assert [name for name, module in published.named_modules() if isinstance(module, ResponseNorm)] == [
        "norm1",
        "norm2",
    ]
    assert (published.conv2.groups, published.conv3.groups, published.conv4.groups) == (2, 1, 2)
    assert published.pool1.kernel_size == 3
    assert published.dropout.p == 0.5
    plain = AlexNet(**SMALL, lrn=False, pool=(2, 2), groups=1, activation="tanh", dropout=0.0)
    assert not {"ResponseNorm", "ReLU"} & set(kinds(plain))
    assert plain(IMAGE).shape == (2, 10)


def test_alexnets_weights_are_drawn_as_the_paper_says() -> None:
    net = AlexNet(**{**SMALL, "widths": (64,) * 5, "dense": (64, 64)})
    assert net.conv3.weight.std().item() == pytest.approx(0.01, rel=0.05)
    for layer, bias in ((net.conv1, 0), (net.conv2, 1), (net.conv3, 0), (net.conv4, 1), (net.fc7, 1), (net.fc8, 0)):
        assert layer.bias is not None
        assert set(layer.bias.tolist()) == {bias}


def test_zfnet_has_finer_first_layers_and_no_groups() -> None:
    with torch.device("meta"):
        net = ZFNet()
    assert (net.conv1.kernel_size, net.conv1.stride) == ((7, 7), (2, 2))
    assert {layer.groups for layer in net.modules() if isinstance(layer, nn.Conv2d)} == {1}


def test_vggs_pairs_can_be_merged_and_its_convolutions_exchanged() -> None:
    options: dict[str, Any] = {"configuration": "B", "size": 32, "width": 0.125, "dense": (), "classes": 10}
    merged = [row.kernel for row in layer_table(VGG(**options, merged_pairs=True), IMAGE[:1]) if row.kind == "Conv2d"]
    assert merged == [(5, 5)] * 5
    pairs = [row.kernel for row in layer_table(VGG(**options), IMAGE[:1]) if row.kind == "Conv2d"]
    assert pairs == [(3, 3)] * 10
    for form in ("depthwise", "rank-one", "bottleneck", "asymmetric", "grouped"):
        assert VGG(**options, convolution=form)(IMAGE).shape == (2, 10)


def test_vggs_pools_can_come_first_with_as_many_parameters_and_a_quarter_of_the_multiplications() -> None:
    options: dict[str, Any] = {"configuration": "B", "size": 32, "width": 0.125, "dense": (), "classes": 10}
    behind, before = VGG(**options), VGG(**options, pool_first=True)
    assert count_parameters(before) == count_parameters(behind)
    head = 64 * 10
    assert 4 * (count_macs(before, IMAGE[:1]) - head) == count_macs(behind, IMAGE[:1]) - head
    assert next(iter(before.body.named_children()))[0] == "pool1"


def test_only_a_lrn_normalises_responses() -> None:
    for letter in ("A", "A-LRN", "C"):
        net = VGG(configuration=letter, size=32, width=0.125, dense=(), classes=10)
        assert ("ResponseNorm" in kinds(net)) is (letter == "A-LRN")


def test_vggs_weights_have_the_papers_variance() -> None:
    net = VGG(configuration="A", size=32, width=0.25, dense=(), classes=10)
    assert net.get_parameter("body.conv5_1.weight").var().item() == pytest.approx(0.01, rel=0.05)


def test_nins_classes_are_means_of_maps_or_a_dense_layer() -> None:
    averaged = NIN(width=0.125).eval()
    maps = averaged.features(IMAGE)
    assert maps.shape == (2, 24, 8, 8)
    expected = averaged.classes(maps).relu().mean(dim=(2, 3))
    torch.testing.assert_close(averaged(IMAGE), expected)
    dense = NIN(width=0.125, head="dense")
    assert dense.dense is not None
    assert dense.dense.in_features == 10 * 8 * 8
    assert dense(IMAGE).shape == (2, 10)
    assert NIN(width=0.125, last_relu=False, batch_norm=True)(IMAGE).min() < 0


def test_a_net_with_means_of_maps_takes_other_sizes() -> None:
    for net in (NIN(width=0.125), MobileNet(width=0.25, stem_stride=1, classes=10)):
        assert net.eval()(torch.randn(2, 3, 24, 24)).shape == (2, 10)


def test_googlenets_reductions_can_be_left_out() -> None:
    options: dict[str, Any] = {
        "size": 32, "width": 0.125, "stem": (3, 1, 1), "stem_pools": (1, 2), "classes": 10
    }  # fmt: skip
    whole, reduced = GoogLeNet(**options, reduction=False), GoogLeNet(**options)
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in (whole, reduced)]
    assert counts[0] > 2 * counts[1]
    assert whole(IMAGE).shape == (2, 10)


def test_auxiliary_classifiers_answer_in_training_only() -> None:
    net = GoogLeNet(size=32, width=0.125, stem=(3, 1, 1), stem_pools=(1, 2), classes=10, auxiliary=True).eval()
    main, first, second = net.all_heads(IMAGE)
    torch.testing.assert_close(main, net(IMAGE))
    assert first.shape == second.shape == (2, 10)
    assert not torch.allclose(first, second)


def test_mobilenets_separable_convolution_is_rectified_after_both_halves() -> None:
    pair = kinds(MobileNet(width=0.25).get_submodule("body.block1"))
    assert [kind for kind in pair if kind != "Sequential"] == ["Conv2d", "BatchNorm2d", "ReLU"] * 2
    for form in ("standard", "rank-one"):
        block = kinds(MobileNet(width=0.25, convolution=form).get_submodule("body.block1"))
        assert block.count("ReLU") == 1


def test_xceptions_separable_convolution_is_not_rectified_in_between() -> None:
    net = build_net("xception", {"width": 0.125, "middle": 1})
    assert "ReLU" not in kinds(net.get_submodule("body.block2.body.conv1"))
    assert "relu1" not in dict(net.get_submodule("body.block1.body").named_children())


def test_a_perceptrons_units_can_be_rectified() -> None:
    assert "Squash" in kinds(MLP())
    assert "Squash" not in kinds(MLP(activation="relu", dropout=0.5))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alexnet", {"activation": "sine"}),
        ("mobilenet", {"convolution": "bottleneck"}),
        ("nin", {"head": "oval"}),
        ("vgg", {"configuration": "F"}),
        ("vgg", {"convolution": "dilated"}),
        ("zfnet", {"drawing": "free", "size": 64, "widths": (8,) * 5, "dense": (8, 8)}),
    ],
)
def test_a_word_that_no_option_knows_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match=r"there are|it has|its convolutions"):
        build_net(name, options)
