import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from service.nets import attribution
from service.nets.activations import Squash
from service.nets.alexnet import AlexNet
from service.nets.normalisation import ResponseNorm
from service.nets.registry import build_net

# Every convolutional net, small, with the layer that is asked.
NETS: dict[str, tuple[dict[str, object], int, str]] = {
    "alexnet": (
        {"size": 32, "stem": (5, 1, 2), "widths": (8, 8, 8, 8, 8), "dense": (16, 16), "drawing": "kaiming"},
        32,
        "conv5",
    ),
    "alexnet-owt": ({"size": 63, "dense": (16, 16)}, 63, "conv5"),
    "cuda-convnet": ({"maps": (8, 8, 8)}, 32, "body.conv3"),
    "googlenet": ({"size": 64, "width": 0.125, "drawing": "kaiming"}, 64, "inception5b.five.conv"),
    "googlenet-bn": ({}, 32, "inception5b.five.conv"),
    "lenet5": ({}, 32, "C3"),
    "mobilenet": ({"width": 0.25}, 32, "body.block4.pointwise.conv"),
    "nin": ({"width": 0.125, "drawing": "kaiming"}, 32, "body.cccp3_1"),
    "vgg": ({"size": 32, "width": 0.125, "dense": (16, 16), "drawing": "kaiming"}, 32, "body.conv3_2"),
    "xception": ({"width": 0.125, "middle": 1}, 64, "body.block3.body.conv2.pointwise"),
    "zfnet": ({"size": 64, "widths": (8, 8, 8, 8, 8), "dense": (16, 16), "drawing": "kaiming"}, 64, "conv4"),
}


def unpooled(pooled: Tensor, switches: Tensor, like: Tensor) -> Tensor:
    """Each value at its switch, those of windows that chose the same place added up."""
    flat = torch.zeros_like(like).flatten(2)
    return flat.scatter_add_(2, switches.flatten(2), pooled.flatten(2)).view_as(like)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2, return_indices=True),
        nn.MaxPool2d(3, 2, return_indices=True),
        nn.MaxPool2d(3, 2, ceil_mode=True, return_indices=True),
        nn.MaxPool2d(3, 2, 1, return_indices=True),
        nn.MaxPool2d(3, 1, 1, return_indices=True),
    ],
    ids=["plain", "overlapping", "rounding up", "padded", "of stride 1"],
)
def test_unpooling_after_pooling_puts_each_maximum_at_its_own_place(pool: nn.MaxPool2d) -> None:
    x = torch.rand(2, 3, 10, 10)
    pooled, switches = pool(x)
    pool.return_indices = False
    net = nn.Sequential(pool)
    back = attribution.send_back(net, x, pool, lambda maps: maps)
    torch.testing.assert_close(back, unpooled(pooled, switches, x))
    chosen = back != 0
    windows = torch.zeros_like(x).flatten(2).scatter_add_(2, switches.flatten(2), torch.ones_like(pooled).flatten(2))
    assert torch.equal(chosen.flatten(2), windows > 0)
    torch.testing.assert_close(back[chosen], (x * windows.view_as(x))[chosen])


def test_a_single_maximum_comes_back_alone() -> None:
    x = torch.rand(1, 1, 7, 7)
    net = nn.Sequential(nn.MaxPool2d(3, 2))
    back = attribution.deconvolve(net, x, net[0], [0])
    assert back.count_nonzero() == 1
    assert back.flatten().argmax() == x[:, :, :7, :7].flatten().argmax()
    assert back.max() == x.max()


def test_the_way_back_is_unpooling_rectification_and_transposed_filters() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 1, bias=True), nn.ReLU(), nn.MaxPool2d(3, 2), ResponseNorm(alpha=0.1),
        nn.Conv2d(6, 4, 3, padding=1),
    )  # fmt: skip
    first, last = net[0], net[4]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    x = torch.randn(1, 3, 24, 24)
    peaks: list[Tensor] = []

    def keep(maps: Tensor) -> Tensor:
        peaks.append(attribution.keep_peaks(maps, [2]))
        return peaks[0]

    found = attribution.send_back(net, x, last, keep)
    rectified = first(x).relu()
    pooled, switches = nn.functional.max_pool2d(rectified, 3, 2, return_indices=True)
    back = conv_transpose2d(peaks[0], last.weight, padding=1)
    back = unpooled(back, switches, rectified).relu()
    expected = conv_transpose2d(back, first.weight, stride=2, padding=1, output_padding=1)
    assert pooled.shape == (1, 6, 5, 5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_what_comes_back_is_rectified_whatever_the_forward_pass_let_through_unless_guided() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    x = torch.tensor([[[[-2.0, 3.0, -4.0, 5.0]]]])
    signal = torch.tensor([[[[1.0, 1.0, -1.0, -1.0]]]])
    back = attribution.send_back(net, x, net[2], lambda _: signal)
    assert back.flatten().tolist() == [1.0, 1.0, 0.0, 0.0]
    guided = attribution.send_back(net, x, net[2], lambda _: signal, guided=True)
    assert guided.flatten().tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("name", NETS)
def test_every_convolutional_net_sends_its_strongest_maps_back_to_pixels(name: str) -> None:
    options, side, layer = NETS[name]
    net = build_net(name, options).eval().requires_grad_(requires_grad=False)
    x = torch.randn(1, 1 if name == "lenet5" else 3, side, side)
    module = attribution.find_layer(attribution.map_layers(net, x), layer)
    units = attribution.strongest_units(attribution.maps_of(net, x, module)[0], 3).tolist()
    for guided in (False, True):
        with torch.inference_mode():
            pixels = attribution.deconvolve(net, x, module, units, guided=guided)
        assert pixels.shape == (3, *x.shape[1:])
        assert pixels.isfinite().all()
        assert (pixels.flatten(1).abs().amax(dim=1) > 0).all()
    assert not net.get_submodule("")._forward_hooks
    assert all(not module._backward_hooks for module in net.modules())


def test_a_projection_stays_within_the_receptive_field() -> None:
    net = AlexNet(size=32, stem=(5, 1, 2), widths=(8,) * 5, dense=(8, 8), classes=10, drawing="kaiming").eval()
    pixels = attribution.deconvolve(net, torch.randn(1, 3, 32, 32), net.conv1, [0, 1, 2])
    for one in pixels.abs().amax(dim=1):
        rows, columns = one.amax(dim=1).nonzero(), one.amax(dim=0).nonzero()
        assert rows.max() - rows.min() < 5
        assert columns.max() - columns.min() < 5


def test_peaks_below_nothing_are_not_sent_back() -> None:
    maps = torch.tensor([[[[-3.0, -1.0]], [[2.0, 5.0]]]]).repeat(2, 1, 1, 1)
    assert attribution.keep_peaks(maps, [0, 1]).flatten().tolist() == [0, 0, 0, 0, 0, 0, 0, 5.0]


def test_the_slope_is_that_of_the_label() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False))
    x = torch.randn(2, 1, 2, 2)
    labels = torch.tensor([2, 0])
    with torch.inference_mode():
        slopes = attribution.saliency(net, x, labels)
    torch.testing.assert_close(slopes.flatten(1), net.get_parameter("1.weight")[labels].abs())


def test_layers_with_maps_are_named_in_order() -> None:
    net = build_net("lenet5")
    assert list(attribution.map_layers(net, torch.zeros(1, 1, 32, 32))) == ["C1", "S2", "C3", "S4", "C5"]
    with pytest.raises(attribution.NotInThisNet, match="no layer 'F6' with maps; there are C1, S2, C3, S4, C5"):
        attribution.find_layer(attribution.map_layers(net, torch.zeros(1, 1, 32, 32)), "F6")


def test_only_convolutions_have_filters() -> None:
    net = build_net("lenet5")
    assert attribution.filters_of(net.get_submodule("C3"), "C3").shape == (16, 6, 5, 5)
    with pytest.raises(attribution.NotInThisNet, match="S2 is no convolution"):
        attribution.filters_of(net.get_submodule("S2"), "S2")


def test_the_slope_of_a_pixel_is_the_steepest_of_its_channels_whatever_its_sign() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        net.get_parameter("1.weight").copy_(torch.tensor([[1.0, -4.0, 2.0], [0.5, 0.25, 0.0]]))
    slopes = attribution.saliency(net, torch.randn(2, 3, 1, 1), torch.tensor([0, 1]))
    assert slopes.flatten().tolist() == [4.0, 0.5]


def test_units_are_ordered_by_their_peaks_and_not_by_their_sums() -> None:
    maps = torch.tensor([[[1.0, 1.0]], [[5.0, -9.0]], [[2.0, 2.0]], [[5.0, 0.0]]])
    assert attribution.strongest_units(maps, 3).tolist() == [1, 3, 2]


@pytest.mark.parametrize("unit", [Squash(), nn.Tanh()])
def test_what_comes_back_to_a_unit_of_both_signs_passes_as_it_is(unit: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), unit, nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(2.0)
    x, signal = torch.tensor([[[[-3.0, 0.1, 3.0]]]]), torch.tensor([[[[1.0, -1.0, -2.0]]]])
    back = attribution.send_back(net, x, net[2], lambda _: signal)
    assert back.flatten().tolist() == [4.0, -4.0, -8.0]


def test_a_unit_that_is_rectified_from_both_sides_is_rectified_on_the_way_back() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU6(), nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(1.0)
    x, signal = torch.tensor([[[[-3.0, 1.0, 9.0]]]]), torch.tensor([[[[1.0, -1.0, 2.0]]]])
    assert attribution.send_back(net, x, net[2], lambda _: signal).flatten().tolist() == [1.0, 0.0, 2.0]
