"""The Inception-v3 that FID is defined by: Szegedy et al., Rethinking the Inception architecture, CVPR 2016.

arXiv 1512.00567, in the form of TensorFlow's graph `classify_image_graph_def.pb` of 2015-12-05, whose weights
pytorch-fid ported to torch. What differs from torchvision's `inception_v3`:

* average pools leave the padding out of the mean (blocks 5b to 6e and 7b),
* the last block, 7c, takes the maximum where 7b takes the mean,
* 1,008 classes, not 1,000, and no auxiliary classifier,
* the logits have no bias: Inception Score is defined on `softmax/logits/MatMul`, before it would be added,
* there is no dropout before them, and what goes in is (pixels − 128) / 128, resized as TensorFlow 1 did.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from service.nets.initialisation import initialise_kaiming

Kernel = tuple[int, int]
SQUARE: Kernel = (3, 3)
POINT: Kernel = (1, 1)
LINE: Kernel = (1, 7)
COLUMN: Kernel = (7, 1)


class Unit(nn.Sequential):
    """A convolution that keeps the size unless it steps, batch normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, *, padded: bool = True) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else 0
        super().__init__(
            OrderedDict(
                conv=nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
                norm=nn.BatchNorm2d(outputs, eps=0.001),
                relu=nn.ReLU(),
            )
        )


class Fork(nn.Module):
    """The 3×3 of the coarsest grids as 1×3 beside 3×1 (figure 7): (n, M, 8, 8) → (n, 768, 8, 8)."""

    outputs = 768

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.a = Unit(inputs, 384, (1, 3))
        self.b = Unit(inputs, 384, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Both, side by side."""
        return torch.cat([self.a(x), self.b(x)], dim=1)


class Mixed(nn.Module):
    """Branches over the same maps, side by side."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """The branches' maps in their order."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def _chain(inputs: int, *units: tuple[int, Kernel], stride: int = 1, fork: bool = False) -> nn.Sequential:
    """Units one after another, numbered from 1; the last one steps by `stride`, a fork may follow."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for place, (outputs, kernel) in enumerate(units, start=1):
        layers[str(place)] = Unit(inputs, outputs, kernel, stride if place == len(units) else 1)
        inputs = outputs
    if fork:
        layers[str(len(units) + 1)] = Fork(inputs)
    return nn.Sequential(layers)


def _pooled(inputs: int, outputs: int, *, largest: bool = False) -> nn.Sequential:
    """A 1×1 over the mean, or the largest, of each pixel and its neighbours."""
    pool = nn.MaxPool2d(3, 1, 1) if largest else nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return nn.Sequential(OrderedDict([("pool", pool), ("1", Unit(inputs, outputs, POINT))]))


def _fine(inputs: int, pooled: int) -> Mixed:
    """Figure 5, on 35×35: `pooled` + 224 maps."""
    return Mixed(
        one=_chain(inputs, (64, POINT)),
        five=_chain(inputs, (48, POINT), (64, (5, 5))),
        double3=_chain(inputs, (64, POINT), (96, SQUARE), (96, SQUARE)),
        project=_pooled(inputs, pooled),
    )


def _middle(narrow: int) -> Mixed:
    """Figure 6, on 17×17: 7×7 as 1×7 and 7×1, `narrow` maps between them, 768 in and out."""
    return Mixed(
        one=_chain(768, (192, POINT)),
        seven=_chain(768, (narrow, POINT), (narrow, LINE), (192, COLUMN)),
        double7=_chain(768, (narrow, POINT), (narrow, COLUMN), (narrow, LINE), (narrow, COLUMN), (192, LINE)),
        project=_pooled(768, 192),
    )


def _coarse(inputs: int, *, largest: bool) -> Mixed:
    """Figure 7, on 8×8: 2,048 maps."""
    return Mixed(
        one=_chain(inputs, (320, POINT)),
        three=_chain(inputs, (384, POINT), fork=True),
        double3=_chain(inputs, (448, POINT), (384, SQUARE), fork=True),
        project=_pooled(inputs, 192, largest=largest),
    )


class InceptionFID(nn.Module):
    """Images (n, 3, 299, 299) to logits (n, 1008)."""

    def __init__(self, *, classes: int = 1008) -> None:
        super().__init__()
        self.conv1a = Unit(3, 32, SQUARE, 2)
        self.conv2a = Unit(32, 32, SQUARE, padded=False)
        self.conv2b = Unit(32, 64, SQUARE)
        self.pool1 = nn.MaxPool2d(3, 2)
        self.conv3b = Unit(64, 80, POINT)
        self.conv4a = Unit(80, 192, SQUARE, padded=False)
        self.pool2 = nn.MaxPool2d(3, 2)
        self.mixed5b = _fine(192, 32)
        self.mixed5c = _fine(256, 64)
        self.mixed5d = _fine(288, 64)
        self.mixed6a = Mixed(
            three=_chain(288, (384, SQUARE), stride=2),
            double3=_chain(288, (64, POINT), (96, SQUARE), (96, SQUARE), stride=2),
            pool=nn.MaxPool2d(3, 2),
        )
        self.mixed6b = _middle(128)
        self.mixed6c = _middle(160)
        self.mixed6d = _middle(160)
        self.mixed6e = _middle(192)
        self.mixed7a = Mixed(
            three=_chain(768, (192, POINT), (320, SQUARE), stride=2),
            seven=_chain(768, (192, POINT), (192, LINE), (192, COLUMN), (192, SQUARE), stride=2),
            pool=nn.MaxPool2d(3, 2),
        )
        self.mixed7b = _coarse(1280, largest=False)
        self.mixed7c = _coarse(2048, largest=True)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.output = nn.Linear(2048, classes, bias=False)
        initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The mean of the last maps, `pool_3` of the graph: (n, 2048)."""
        x = self.conv2b(self.conv2a(self.conv1a(x)))  # (n, 64, 147, 147)
        x = self.conv4a(self.conv3b(self.pool1(x)))  # (n, 192, 71, 71)
        x = self.mixed5d(self.mixed5c(self.mixed5b(self.pool2(x))))  # (n, 288, 35, 35)
        x = self.mixed6c(self.mixed6b(self.mixed6a(x)))  # (n, 768, 17, 17)
        x = self.mixed6e(self.mixed6d(x))  # (n, 768, 17, 17)
        x = self.mixed7c(self.mixed7b(self.mixed7a(x)))  # (n, 2048, 8, 8)
        mean: Tensor = self.average(x)
        return mean.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes) without a bias, those that Inception Score is defined on."""
        logits: Tensor = self.output(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
