import pytest
import torch

from service.errors import InvalidManifest
from service.nets.convolutions import CONVOLUTIONS, Shape, build_convolution
from service.nets.layers import count_macs, count_parameters

# 3×3, 64 maps into 128: the numbers of the notes' example.
PARAMETERS = {
    "standard": 73_728,
    "grouped": 36_864,
    "depthwise": 8_768,
    "rank-one": 9_344,
    "bottleneck": 64 * 16 + 9 * 16 * 128,
    "asymmetric": 3 * 64 * 128 + 3 * 128 * 128,
}


@pytest.mark.parametrize("form", CONVOLUTIONS)
def test_a_form_has_its_formulas_parameters_and_as_many_multiplications_a_place(form: str) -> None:
    conv = build_convolution(form, Shape(64, 128, 3, padding=1, bias=False))
    assert count_parameters(conv) == PARAMETERS[form]
    assert count_macs(conv, torch.zeros(1, 64, 7, 7)) == PARAMETERS[form] * 49


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("form", CONVOLUTIONS)
def test_every_form_gives_the_same_shape(form: str, stride: int) -> None:
    conv = build_convolution(form, Shape(6, 10, 5, stride, 2))
    assert conv(torch.zeros(2, 6, 9, 9)).shape == (2, 10, *((9,) * 2 if stride == 1 else (5,) * 2))


def test_a_rank_one_filter_is_a_spatial_map_times_a_channel_vector() -> None:
    conv = build_convolution("rank-one", Shape(4, 6, 3, bias=False))
    channels = conv.get_parameter("channels.weight")[:, :, 0, 0]  # (6, 4)
    space = conv.get_parameter("space.weight")[:, 0]  # (6, 3, 3)
    filters = channels[:, :, None, None] * space[:, None]  # (6, 4, 3, 3)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(conv(x), torch.conv2d(x, filters), rtol=1e-4, atol=1e-5)


def test_a_depthwise_separable_filter_mixes_spatial_maps_that_all_outputs_share() -> None:
    conv = build_convolution("depthwise", Shape(4, 6, 3, bias=False))
    space = conv.get_parameter("depthwise.weight")[:, 0]  # (4, 3, 3)
    mix = conv.get_parameter("pointwise.weight")[:, :, 0, 0]  # (6, 4)
    filters = mix[:, :, None, None] * space[None]  # (6, 4, 3, 3)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(conv(x), torch.conv2d(x, filters), rtol=1e-4, atol=1e-5)


def test_two_small_kernels_cost_less_than_one_large() -> None:
    three, five = (count_parameters(build_convolution("standard", Shape(64, 64, k, bias=False))) for k in (3, 5))
    assert (2 * three, five) == (18 * 64**2, 25 * 64**2)


def test_an_image_is_not_divided_into_groups() -> None:
    assert build_convolution("grouped", Shape(3, 8, 3)).groups == 1


def test_an_unknown_form_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidManifest, match=r"'dilated'; there are .*depthwise"):
        build_convolution("dilated", Shape(1, 1, 1))
