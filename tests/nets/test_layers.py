import pytest
import torch
from torch import Tensor, nn

from service.nets.convolutions import Shape, build_convolution
from service.nets.layers import layer_table, side_after


class Branches(nn.Module):
    """A 3×3 and a 5×5 side by side, a 3×3 of both, and the image added."""

    def __init__(self) -> None:
        super().__init__()
        self.three = nn.Conv2d(1, 1, 3, padding=1)
        self.five = nn.Conv2d(1, 1, 5, padding=2)
        self.both = nn.Conv2d(2, 1, 3, padding=1)
        self.after = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.both(torch.cat([self.five(x).relu(), self.three(x)], dim=1))
        z: Tensor = self.after(x + y)
        return z


def test_the_receptive_field_is_that_of_the_longest_way() -> None:
    rows = layer_table(Branches(), torch.zeros(1, 1, 32, 32))
    assert {row.name: row.receptive_field for row in rows} == {"five": 5, "three": 3, "both": 7, "after": 7}


def test_each_side_of_the_receptive_field_grows_by_its_own_kernel_and_stride() -> None:
    shape = Shape(1, 1, 3, stride=2, padding=1)
    rows = layer_table(
        nn.Sequential(build_convolution("asymmetric", shape), nn.Conv2d(1, 1, (1, 7)), nn.Conv2d(1, 1, (5, 1))),
        torch.zeros(1, 1, 32, 32),
    )
    assert [row.receptive_field for row in rows] == [3, 3, 15, 15]


def test_the_receptive_field_is_what_a_unit_depends_on() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 5, 2), nn.MaxPool2d(3, 2), nn.Conv2d(1, 1, 3))
    x = torch.randn(1, 1, 64, 64, requires_grad=True)
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    average = nn.Sequential(net[0], nn.AvgPool2d(3, 2), net[2])
    (gradient,) = torch.autograd.grad(average(x)[0, 0, 3, 3], x)
    seen = gradient[0, 0].abs().sum(dim=0).nonzero()
    assert layer_table(net, x.detach())[-1].receptive_field == seen[-1] - seen[0] + 1


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("side", range(5, 20))
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 0), (3, 2, 1), (2, 2, 0), (2, 2, 1), (5, 3, 0)])
def test_the_side_of_a_map_is_torchs(side: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> None:
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    expected = pool(torch.zeros(1, 1, side, side)).shape[-1]
    assert side_after(side, kernel, stride, padding, ceil=ceil) == expected


def test_a_net_without_numbers_is_counted_as_one_with() -> None:
    with torch.device("meta"):
        hollow = Branches()
    assert layer_table(hollow, torch.empty(1, 1, 32, 32, device="meta")) == layer_table(
        Branches(), torch.zeros(1, 1, 32, 32)
    )


def test_a_dilated_kernel_sees_what_it_spans() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, (3, 2), dilation=3)
    )
    assert [row.receptive_field for row in layer_table(net, torch.zeros(1, 1, 40, 40))] == [5, 7, 19]


def test_groups_multiply_less_and_a_transposed_convolution_as_often_as_it_has_inputs() -> None:
    x = torch.zeros(1, 4, 6, 6)
    assert layer_table(nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, padding=1)), x)[0].macs == 8 * 2 * 9 * 36
    assert layer_table(nn.Sequential(nn.ConvTranspose2d(4, 8, 4, 2, 1)), x)[0].macs == 4 * 8 * 16 * 36
