"""MobileNet: Howard et al., Efficient convolutional neural networks for mobile vision applications, 2017.

arXiv 1704.04861, table 1; its last stride is a misprint there (7×7 maps stay 7×7).
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from service.errors import InvalidManifest
from service.nets.activations import build_activation
from service.nets.convolutions import Shape, build_convolution
from service.nets.initialisation import initialise_kaiming, scaled

STEM = 32
MAPS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Maps and strides of the pairs of a depthwise and a pointwise convolution."""


class MobileNet(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000) through 13 depthwise separable convolutions.

    `width` is the paper's α; its ρ is the size of the image. `convolution` = "standard" is the paper's full convolution
    (table 4), "rank-one" the other factorisation. For CIFAR-10, an adaptation: `stem_stride` 1, and
    fewer of the `strides`.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 2,
        strides: Sequence[int] = STRIDES,
        convolution: str = "depthwise",
        activation: str = "relu",
        epsilon: float = 0.001,
        dropout: float = 0.001,
    ) -> None:
        super().__init__()
        if convolution == "bottleneck":
            raise InvalidManifest("mobilenet has no bottlenecks; its convolutions are depthwise, standard, rank-one, …")
        inputs = scaled(STEM, width)
        self.stem = _unit(nn.Conv2d(channels, inputs, 3, stem_stride, 1, bias=False), inputs, activation, epsilon)
        self.body = nn.Sequential()
        for place, (maps, stride) in enumerate(zip(MAPS, strides, strict=True), start=1):
            shape = Shape(inputs, scaled(maps, width), 3, stride, 1, bias=False)
            self.body.add_module(f"block{place}", _block(shape, convolution, activation, epsilon))
            inputs = shape.outputs
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(inputs, classes)
        initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The mean of the last maps, (n, 1024)."""
        mean: Tensor = self.average(self.body(self.stem(x)))
        return mean.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(self.dropout(features))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))


def _unit(conv: nn.Module, maps: int, activation: str, epsilon: float) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv": conv,
        "norm": nn.BatchNorm2d(maps, eps=epsilon),
        "relu": build_activation(activation),
    }
    return nn.Sequential(OrderedDict(layers))


def _block(shape: Shape, convolution: str, activation: str, epsilon: float) -> nn.Sequential:
    """MobileNet's pair is normalised and rectified after both halves, every other form at its end."""
    if convolution != "depthwise":
        return _unit(build_convolution(convolution, shape), shape.outputs, activation, epsilon)
    maps = shape.inputs
    depthwise = nn.Conv2d(maps, maps, shape.kernel, shape.stride, shape.padding, groups=maps, bias=False)
    pair = {
        "depthwise": _unit(depthwise, maps, activation, epsilon),
        "pointwise": _unit(nn.Conv2d(maps, shape.outputs, 1, bias=False), shape.outputs, activation, epsilon),
    }
    return nn.Sequential(OrderedDict(pair))
