import pytest
import torch
from torch import Tensor, nn

from service.nets.layers import LayerRow, count_macs, count_parameters
from service.nets.published import PUBLISHED
from service.nets.registry import NETS, build_net

# Parameters and multiply-accumulates of one image, as counted by hand from the papers' tables.
COUNTS = {
    "mlp-784-300-10": (238_510, 238_200),
    "mlp-784-1000-10": (795_010, 794_000),
    "mlp-784-300-100-10": (266_610, 266_200),
    "mlp-784-500-150-10": (469_160, 468_500),
    "lenet5": (60_000, 326_520),
    "alexnet": (60_965_224, 724_406_816),
    "alexnet-owt": (61_100_840, 714_188_480),
    "zfnet": (62_357_608, 1_168_032_896),
    "zfnet-512": (107_627_624, 2_476_704_896),
    "nin-cifar10": (966_986, 222_486_528),
    "nin-cifar100": (984_356, 223_592_448),
    "nin-mnist": (349_674, 50_699_712),
    "nin-svhn": (1_986_026, 274_235_392),
    "vgg-a": (132_863_336, 7_609_090_048),
    "vgg-a-lrn": (132_863_336, 7_609_090_048),
    "vgg-b": (133_047_848, 11_308_466_176),
    "vgg-c": (133_638_952, 11_770_888_192),
    "vgg-d": (138_357_544, 15_470_264_320),
    "vgg-e": (143_667_240, 19_632_062_464),
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet-bn": (6_624_904, 1_498_376_192),
    "mobilenet-1.0-224": (4_231_976, 568_740_352),
    "mobilenet-0.75-224": (2_585_560, 325_400_448),
    "mobilenet-0.5-224": (1_331_592, 149_497_088),
    "mobilenet-0.25-224": (470_072, 41_030_272),
    "mobilenet-1.0-160": (4_231_976, 290_675_200),
    "mobilenet-convolutional": (29_294_088, 4_867_293_184),
    "xception": (22_855_952, 8_357_403_496),
    "inception-v3-fid": (23_849_952, 5_713_232_480),
}

IMAGE = torch.empty(1, 3, 224, 224, device="meta")


class AllHeads(nn.Module):
    """A net that answers with its auxiliary classifiers, too."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        answers: tuple[Tensor, ...] = self.net.all_heads(x)  # type: ignore[operator]
        return answers


def on_meta(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return build_net(name, options)


def rows_of(name: str) -> dict[str, LayerRow]:
    return {row.name: row for row in PUBLISHED[name].layers()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_net_has_its_papers_counts(name: str) -> None:
    layers = PUBLISHED[name].layers()
    assert (sum(row.parameters for row in layers), sum(row.macs for row in layers)) == COUNTS[name]
    assert count_parameters(PUBLISHED[name].build()) == COUNTS[name][0]
    assert layers[-1].output[0] == PUBLISHED[name].classes


def test_every_classifier_of_the_registry_is_published() -> None:
    assert {published.net for published in PUBLISHED.values()} <= NETS.keys()
    assert len(COUNTS) == len(PUBLISHED)


@pytest.mark.parametrize(("name", "weights"), [("alexnet", 60_954_656), ("nin-cifar10", 965_568)])
def test_a_published_net_has_its_papers_weights_beside_the_biases(name: str, weights: int) -> None:
    parameters = PUBLISHED[name].build().parameters()
    assert sum(parameter.numel() for parameter in parameters if parameter.ndim > 1) == weights


def test_alexnet_without_groups_is_another_net() -> None:
    net = on_meta("alexnet", groups=1)
    assert (count_parameters(net), count_macs(net, IMAGE)) == (62_378_344, 1_135_256_096)


def test_alexnets_multiplications_are_mostly_convolutions() -> None:
    rows = rows_of("alexnet")
    assert sum(row.macs for name, row in rows.items() if name.startswith("conv")) == 665_784_864
    assert sum(row.macs for name, row in rows.items() if name.startswith("fc")) == 58_621_952


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("googlenet", 13_378_280, 1_591_044_096), ("googlenet-bn", 13_004_888, None)],
)
def test_googlenet_has_two_auxiliary_classifiers_in_training(name: str, parameters: int, macs: int | None) -> None:
    net = AllHeads(on_meta(name, auxiliary=True))
    assert [answer.shape for answer in net(IMAGE.expand(2, -1, -1, -1))] == [(2, 1000)] * 3
    assert count_parameters(net) == parameters
    assert macs in (count_macs(net, IMAGE), None)


# On CIFAR-10, with the widths that the store's manifests use.
@pytest.mark.parametrize(
    ("name", "options", "parameters", "macs"),
    [
        (
            "alexnet",
            {"size": 32, "stem": (5, 1, 2), "widths": (48, 128, 192, 192, 128), "dense": (512, 512)},
            1_436_874,
            46_209_024,
        ),
        (
            "zfnet",
            {
                "size": 32,
                "stem": (7, 1, 3),
                "second": (5, 1, 2),
                "widths": (48, 128, 192, 192, 128),
                "dense": (512, 512),
                "ceil": False,
            },
            1_793_610,
            80_575_488,
        ),
        ("vgg", {"size": 32, "width": 0.5, "dense": (), "batch_norm": True}, 3_686_954, 78_744_064),
        ("mobilenet", {"stem_stride": 1}, 3_217_226, 46_354_432),
        ("mobilenet", {"stem_stride": 1, "width": 0.5}, 823_722, 12_167_168),
        (
            "xception",
            {"stem_stride": 1, "stem_padding": 1, "entry_strides": (1, 2, 2), "width": 0.25},
            1_354_844,
            88_681_984,
        ),
    ],
)
def test_an_adaptation_has_the_known_counts(name: str, options: dict[str, object], parameters: int, macs: int) -> None:
    net = on_meta(name, classes=10, **options)
    assert count_parameters(net) == parameters
    assert count_macs(net, torch.empty(1, 3, 32, 32, device="meta")) == macs


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        (
            "alexnet",
            {
                "conv1": ((11, 11), (4, 4), (96, 55, 55), 11),
                "pool1": ((3, 3), (2, 2), (96, 27, 27), 19),
                "conv2": ((5, 5), (1, 1), (256, 27, 27), 51),
                "pool2": ((3, 3), (2, 2), (256, 13, 13), 67),
                "conv3": ((3, 3), (1, 1), (384, 13, 13), 99),
                "conv4": ((3, 3), (1, 1), (384, 13, 13), 131),
                "conv5": ((3, 3), (1, 1), (256, 13, 13), 163),
                "pool5": ((3, 3), (2, 2), (256, 6, 6), 195),
                "fc6": (None, None, (4096,), 224),
            },
        ),
        (
            "zfnet",
            {
                "conv1": ((7, 7), (2, 2), (96, 110, 110), 7),
                "pool1": ((3, 3), (2, 2), (96, 55, 55), 11),
                "conv2": ((5, 5), (2, 2), (256, 26, 26), 27),
                "pool2": ((3, 3), (2, 2), (256, 13, 13), 43),
                "conv5": ((3, 3), (1, 1), (256, 13, 13), 139),
                "pool5": ((3, 3), (2, 2), (256, 6, 6), 171),
            },
        ),
        (
            "vgg-d",
            {
                "body.conv1_1": ((3, 3), (1, 1), (64, 224, 224), 3),
                "body.pool1": ((2, 2), (2, 2), (64, 112, 112), 6),
                "body.conv3_3": ((3, 3), (1, 1), (256, 56, 56), 40),
                "body.conv5_3": ((3, 3), (1, 1), (512, 14, 14), 196),
                "body.pool5": ((2, 2), (2, 2), (512, 7, 7), 212),
            },
        ),
        (
            "nin-cifar10",
            {
                "body.conv1": ((5, 5), (1, 1), (192, 32, 32), 5),
                "body.cccp1_2": ((1, 1), (1, 1), (96, 32, 32), 5),
                "body.pool1": ((3, 3), (2, 2), (96, 16, 16), 7),
                "body.pool2": ((3, 3), (2, 2), (192, 8, 8), 19),
                "classes": ((1, 1), (1, 1), (10, 8, 8), 27),
                "average": (None, None, (10, 1, 1), 32),
            },
        ),
        (
            "googlenet",
            {
                "pool2": ((3, 3), (2, 2), (192, 28, 28), 27),
                "inception3a.one.conv": ((1, 1), (1, 1), (64, 28, 28), 27),
                "inception3a.three.conv": ((3, 3), (1, 1), (128, 28, 28), 43),
                "inception3a.five.conv": ((5, 5), (1, 1), (32, 28, 28), 59),
                "inception3a.project.conv": ((1, 1), (1, 1), (32, 28, 28), 43),
                "inception3b.one.conv": ((1, 1), (1, 1), (128, 28, 28), 59),
                "inception5b.five.conv": ((5, 5), (1, 1), (128, 7, 7), 224),
            },
        ),
        (
            "xception",
            {
                "conv2": ((3, 3), (1, 1), (64, 147, 147), 7),
                "body.block1.body.pool": ((3, 3), (2, 2), (128, 74, 74), 19),
                "body.block1.shortcut.conv": ((1, 1), (2, 2), (128, 74, 74), 7),
                "body.block2.body.conv1.depthwise": ((3, 3), (1, 1), (128, 74, 74), 27),
                "body.block12.body.pool": ((3, 3), (2, 2), (1024, 10, 10), 299),
            },
        ),
    ],
)
def test_each_layer_has_the_papers_kernel_stride_size_and_receptive_field(
    name: str, layers: dict[str, tuple[object, object, object, int]]
) -> None:
    rows = rows_of(name)
    for layer, expected in layers.items():
        row = rows[layer]
        assert (row.kernel, row.stride, row.output, row.receptive_field) == expected, layer
