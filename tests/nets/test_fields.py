import itertools

import pytest
import torch
from torch import Tensor, nn

from service.nets.fields import receptive_fields


class Branching(nn.Module):
    """Padded convolutions of several strides, a pool, and two ways of different lengths that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 5, padding=2)
        self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.wide = nn.Conv2d(2, 2, (3, 5), padding=(1, 2))
        self.narrow = nn.Conv2d(2, 2, 1)
        self.last = nn.Conv2d(4, 2, 3, stride=2, dilation=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.first(x))
        y: Tensor = self.last(torch.cat([self.wide(x), self.narrow(x)], dim=1))
        return y


def seen_from(net: nn.Module, layer: str, x: Tensor, place: tuple[int, int]) -> list[tuple[int, int]]:
    """First and last pixel, down and across, that the maps of a layer depend on at a place."""
    answers: list[Tensor] = []
    x = x.clone().requires_grad_()
    hook = net.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: answers.append(output))
    net(x)
    hook.remove()
    (slope,) = torch.autograd.grad(answers[0][0, :, place[0], place[1]].sum(), x)
    touched = slope[0].abs().sum(dim=0).nonzero()
    return [(int(axis.min()), int(axis.max())) for axis in touched.T]


@pytest.mark.parametrize("layer", ["first", "pool", "wide", "narrow", "last"])
def test_a_field_is_exactly_what_a_unit_depends_on(layer: str) -> None:
    net = Branching().eval()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)
    x = torch.rand(1, 1, 40, 36)
    field = receptive_fields(net, x)[layer]
    assert field.sides is not None
    sizes = {"first": (40, 36), "pool": (20, 18), "wide": (20, 18), "narrow": (20, 18), "last": (8, 7)}
    height, width = sizes[layer]
    for place in itertools.product((0, height // 2, height - 1), (0, width // 2, width - 1)):
        for axis, (first, last) in enumerate(seen_from(net, layer, x, place)):
            start = field.starts[axis] + place[axis] * field.steps[axis]
            assert first == max(0, start)
            assert last == min(x.shape[2 + axis], start + field.sides[axis]) - 1


def test_behind_a_dense_layer_everything_is_seen_and_behind_a_transposed_one_nobody_knows() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.ConvTranspose2d(1, 1, 3)).eval()
    fields = receptive_fields(net, torch.zeros(1, 1, 12, 10))
    assert fields["1"].sides == (12, 10)
    assert fields["2"].sides is None
