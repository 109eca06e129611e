"""Xception: Chollet, Deep learning with depthwise separable convolutions, CVPR 2017 (arXiv 1610.02357), figure 5."""

import itertools
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.convolutions import Shape, build_convolution
from service.nets.initialisation import initialise_kaiming, scaled

ENTRY = ((64, 128), (128, 256), (256, 728))
MIDDLE = 728


class Block(nn.Module):
    """Separable convolutions beside a shortcut: (n, M, H, W) → (n, N, H/stride, W/stride).

    With a stride the last convolution is followed by a pool of 3×3. The shortcut is a 1×1 where the shape changes, else
    the input itself. No ReLU stands between the two halves of a separable convolution (section 4.7).
    """

    def __init__(
        self, maps: Sequence[int], *, stride: int, leading_relu: bool, convolution: str, epsilon: float
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for place, (inputs, outputs) in enumerate(itertools.pairwise(maps), start=1):
            if place > 1 or leading_relu:
                layers[f"relu{place}"] = nn.ReLU()
            layers[f"conv{place}"] = build_convolution(convolution, Shape(inputs, outputs, 3, 1, 1, bias=False))
            layers[f"norm{place}"] = nn.BatchNorm2d(outputs, eps=epsilon)
        shortcut: OrderedDict[str, nn.Module] = OrderedDict()
        if stride > 1:
            layers["pool"] = nn.MaxPool2d(3, stride, 1)
        if stride > 1 or maps[0] != maps[-1]:
            shortcut["conv"] = nn.Conv2d(maps[0], maps[-1], 1, stride, bias=False)
            shortcut["norm"] = nn.BatchNorm2d(maps[-1], eps=epsilon)
        self.body = nn.Sequential(layers)
        self.shortcut = nn.Sequential(shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


class Xception(nn.Module):
    """Images (n, 3, 299, 299) to logits (n, 1000): 36 convolutions in 14 modules, all but two separable.

    `middle` is the number of middle blocks, `convolution` another form of chapter 5 in the place of the separable one.
    For CIFAR-10, an adaptation: `stem_stride` 1, `stem_padding` 1, `entry_strides` (1, 2, 2) and a smaller `width`.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        channels: int = 3,
        width: float = 1.0,
        stem_stride: int = 2,
        stem_padding: int = 0,
        entry_strides: Sequence[int] = (2, 2, 2),
        middle: int = 8,
        convolution: str = "depthwise",
        epsilon: float = 0.001,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        a, b, c, d, e, f = (scaled(maps, width) for maps in (32, 64, MIDDLE, 1024, 1536, 2048))
        options = {"convolution": convolution, "epsilon": epsilon}
        self.conv1 = nn.Conv2d(channels, a, 3, stem_stride, stem_padding, bias=False)
        self.norm1 = nn.BatchNorm2d(a, eps=epsilon)
        self.conv2 = nn.Conv2d(a, b, 3, 1, stem_padding, bias=False)
        self.norm2 = nn.BatchNorm2d(b, eps=epsilon)
        self.body = nn.Sequential()
        for place, ((inputs, outputs), stride) in enumerate(zip(ENTRY, entry_strides, strict=True), start=1):
            maps = (scaled(inputs, width), scaled(outputs, width), scaled(outputs, width))
            self.body.add_module(f"block{place}", Block(maps, stride=stride, leading_relu=place > 1, **options))  # type: ignore[arg-type]
        for place in range(middle):
            self.body.add_module(f"block{4 + place}", Block((c,) * 4, stride=1, leading_relu=True, **options))  # type: ignore[arg-type]
        self.body.add_module(f"block{4 + middle}", Block((c, c, d), stride=2, leading_relu=True, **options))  # type: ignore[arg-type]
        self.conv3 = build_convolution(convolution, Shape(d, e, 3, 1, 1, bias=False))
        self.norm3 = nn.BatchNorm2d(e, eps=epsilon)
        self.conv4 = build_convolution(convolution, Shape(e, f, 3, 1, 1, bias=False))
        self.norm4 = nn.BatchNorm2d(f, eps=epsilon)
        self.relu = nn.ReLU()
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(f, classes)
        initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The mean of the last maps, (n, 2048)."""
        x = self.relu(self.norm1(self.conv1(x)))  # (n, 32, 149, 149)
        x = self.relu(self.norm2(self.conv2(x)))  # (n, 64, 147, 147)
        x = self.body(x)  # (n, 1024, 10, 10)
        x = self.relu(self.norm3(self.conv3(x)))  # (n, 1536, 10, 10)
        x = self.relu(self.norm4(self.conv4(x)))  # (n, 2048, 10, 10)
        mean: Tensor = self.average(x)
        return mean.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(self.dropout(features))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
