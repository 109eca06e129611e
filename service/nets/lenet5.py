"""LeNet-5: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 1998."""

import math
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, pad

from service.nets.activations import A, S, Squash

C3_INPUTS = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
"""Table I of the paper: the maps of S2 that each map of C3 sees."""

DIGITS = """
..###.. ...#... ..###.. .#####. ....#.. ####### ...###. ####### .#####. ..####.
.#...#. ..##... .#...#. #.....# ...##.. #...... ..#.... #.....# #.....# .#....#
#.....# .###... #.....# ......# ...##.. #...... .#..... ......# #.....# #.....#
#.....# #..#... ......# ......# ..#.#.. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# .....#. .#..#.. #.###.. #...... .....#. .#...#. #.....#
#.....# ...#... .....#. ..###.. .#..#.. ##...#. #.###.. ....#.. ..###.. .#...##
#.....# ...#... ....#.. .....#. #...#.. ......# ##...#. ...#... .#...#. ..###.#
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# ....#.. ......# #.....# ..#.... #.....# ......#
#.....# ...#... .#..... ......# ....#.. #.....# #.....# ..#.... #.....# .....#.
.#...#. ...#... #...... #.....# ....#.. .#...#. .#...#. .#..... #.....# ....#..
..###.. .#####. ####### .#####. ....#.. ..###.. ..###.. .#..... .#####. .###...
"""
"""Ten stylised digits of 7×12 pixels, side by side: the code that F6 should show for each class is ink +1, paper −1."""


def _draw(weight: Tensor, fan_in: int) -> Tensor:
    return nn.init.uniform_(weight, -2.4 / fan_in, 2.4 / fan_in)


def _convolution(weight: Tensor, bias: Tensor, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    outputs, inputs, *kernel = weight.shape
    made = nn.Conv2d(inputs * groups, outputs, kernel[0], stride, groups=groups)
    made.weight, made.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().flatten().clone())
    return made


def _by_places(convolution: nn.Conv2d) -> nn.Conv2d:
    """A convolution (n, C, H, W) whose four results in each 2×2 are four maps side by side, (n, 4·C, H/2, W/2).

    It multiplies by some zeros more than the one it is made of, but fills a processor's vectors where C is small.
    """
    assert convolution.bias is not None
    places = [pad(convolution.weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]
    return _convolution(torch.cat(places), convolution.bias.repeat(4), stride=2)


class SubSampling(nn.Module):
    """coefficient · (sum of 2×2) + bias, both trainable, one pair a map: (n, C, H, W) → (n, C, H/2, W/2)."""

    kernel_size = 2
    stride = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(_draw(torch.empty(channels, 1, 1), 4))
        self.bias = nn.Parameter(_draw(torch.empty(channels, 1, 1), 4))

    def forward(self, x: Tensor) -> Tensor:
        """Sum, scale, shift."""
        return self.coefficient * avg_pool2d(x, 2, divisor_override=1) + self.bias

    def as_convolution(self) -> nn.Conv2d:
        """The same in one step: a kernel of equal numbers a map."""
        channels = len(self.coefficient)
        return _convolution(self.coefficient[:, None].expand(channels, 1, 2, 2), self.bias, stride=2, groups=channels)

    def over_places(self) -> nn.Conv2d:
        """The same for what `_by_places` gives, (n, 4·C, H/2, W/2): a sum of four maps each."""
        return _convolution(self.coefficient.flatten().diag().repeat(1, 4)[:, :, None, None], self.bias)


class SparseConv2d(nn.Module):
    """A convolution in which each output map sees its own choice of input maps: (n, C, H, W) → (n, len(inputs), …)."""

    stride = 1

    def __init__(self, inputs: tuple[tuple[int, ...], ...], kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self._shape = (len(inputs), 1 + max(map(max, inputs)), kernel_size, kernel_size)
        area = kernel_size**2
        pairs = [(maps, self._shape[1] * place + chosen) for place, maps in enumerate(inputs) for chosen in maps]
        self.kernels = nn.Parameter(torch.stack([_draw(torch.empty(area), len(maps) * area) for maps, _ in pairs]))
        self.bias = nn.Parameter(torch.cat([_draw(torch.empty(1), len(maps) * area) for maps in inputs]))
        self.register_buffer("_places", torch.tensor([place for _, place in pairs]), persistent=False)

    @property
    def weight(self) -> Tensor:
        """The kernels laid out densely, zero where there is no connection: (outputs, inputs, K, K)."""
        outputs, inputs, *_ = self._shape
        rows = self.kernels.new_zeros(outputs * inputs, self.kernels.shape[1])
        return rows.index_copy(0, self.get_buffer("_places"), self.kernels).view(self._shape)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return conv2d(x, self.weight, self.bias)

    def as_convolution(self) -> nn.Conv2d:
        """The same with its dense kernels laid out for good."""
        return _convolution(self.weight, self.bias)

    def count_macs(self, output: Tensor) -> int:
        """Multiplications of the connections there are, for one item."""
        return self.kernels.numel() * output.shape[-2] * output.shape[-1]


class RadialBasis(nn.Module):
    """y_i = Σ_j (x_j − w_ij)² with fixed codes w: x (n, 84) → y (n, classes)."""

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        """Squared distances to every code."""
        return (x[:, None, :] - self.codes).square().sum(dim=2)

    def count_macs(self, output: Tensor) -> int:  # noqa: ARG002 - one square for each number of the codes
        """One square for each number of the codes."""
        return self.codes.numel()


class Nearness(nn.Module):
    """−Σ_j (A·x_j − w_ij)² = 2A Σ_j x_j w_ij − A² Σ_j x_j² − Σ_j w_ij² for x (n, 84), as one matrix product."""

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.codes = nn.Linear(codes.shape[1], len(codes))
        self.codes.weight = nn.Parameter(2 * A * codes)
        self.codes.bias = nn.Parameter(-codes.square().sum(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Minus the squared distances, (n, classes)."""
        nearness: Tensor = self.codes(x) - A**2 * (x * x).sum(dim=1, keepdim=True)
        return nearness


def digit_codes() -> Tensor:
    """The ten bitmaps as ±1, read row by row: (10, 84)."""
    rows = [line.split() for line in DIGITS.split("\n") if line]
    drawings = ["".join(row[digit] for row in rows) for digit in range(10)]
    return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in drawing] for drawing in drawings])


class LeNet5(nn.Module):
    """60,000 trainable parameters and 840 fixed ones: images (n, 1, 32, 32) → minus the squared distances (n, 10).

    On three `channels`, an adaptation, C1 has 300 more.
    """

    def __init__(self, *, channels: int = 1) -> None:
        super().__init__()
        self.C1 = nn.Conv2d(channels, 6, 5)
        self.S2 = SubSampling(6)
        self.C3 = SparseConv2d(C3_INPUTS, 5)
        self.S4 = SubSampling(16)
        self.C5 = nn.Conv2d(16, 120, 5)
        self.F6 = nn.Linear(120, 84)
        self.output = RadialBasis(digit_codes())
        self.squash = Squash()
        for layer in (self.C1, self.C5, self.F6):
            fan_in = math.prod(layer.weight.shape[1:])
            _draw(layer.weight, fan_in)
            if layer.bias is not None:
                _draw(layer.bias, fan_in)

    def features(self, x: Tensor) -> Tensor:
        """F6: what the codes are compared with, (n, 84), each within ±1.7159."""
        x = self.squash(self.C1(x))  # (n, 6, 28, 28)
        x = self.squash(self.S2(x))  # (n, 6, 14, 14)
        x = self.squash(self.C3(x))  # (n, 16, 10, 10)
        x = self.squash(self.S4(x))  # (n, 16, 5, 5)
        x = self.squash(self.C5(x))  # (n, 120, 1, 1)
        F6: Tensor = self.squash(self.F6(x.flatten(1)))  # (n, 84)
        return F6

    def head(self, features: Tensor) -> Tensor:
        """Minus the squared distances to the codes, (n, 10): the nearest code's class is the largest."""
        distances: Tensor = self.output(features)
        return -distances

    def forward(self, x: Tensor) -> Tensor:
        """Minus the squared distances of (n, 1, 32, 32) images to the ten codes, (n, 10)."""
        return self.head(self.features(x))

    def for_inference(self) -> nn.Sequential:
        """The same answers but for rounding, with the constants of A·tanh(S·a) in the weights of the layers around."""
        C3, S4 = self.C3.as_convolution(), self.S4.as_convolution()
        C5 = nn.Linear(self.C5.weight[0].numel(), len(self.C5.weight))  # S4's maps are as large as its kernels
        C5.load_state_dict({"weight": self.C5.weight.flatten(1), "bias": self.C5.bias})
        steps: list[nn.Module] = []
        layers = _by_places(self.C1), self.S2.over_places(), C3, S4, nn.Flatten(1), C5, deepcopy(self.F6)
        for place, layer in enumerate(layers):
            steps.append(layer)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                assert layer.bias is not None
                layer.weight = nn.Parameter(layer.weight.detach() * (S * A if place else S))
                layer.bias = nn.Parameter(layer.bias.detach() * S)
                steps.append(nn.Tanh())
        return nn.Sequential(*steps, Nearness(self.output.codes))
