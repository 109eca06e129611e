"""GoogLeNet: Szegedy et al., Going deeper with convolutions, CVPR 2015 (arXiv 1409.4842), table 1."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from service.nets.initialisation import initialise_kaiming, initialise_xavier, initialised_as_published, scaled
from service.nets.layers import side_after
from service.nets.normalisation import ResponseNorm


class Maps(NamedTuple):
    """The numbers of maps of one inception, by table 1's columns."""

    one: int
    reduce3: int
    three: int
    reduce5: int
    five: int
    project: int

    @property
    def outputs(self) -> int:
        """The maps of all branches side by side."""
        return self.one + self.three + self.five + self.project


INCEPTIONS = {
    "3a": Maps(64, 96, 128, 16, 32, 32),
    "3b": Maps(128, 128, 192, 32, 96, 64),
    "4a": Maps(192, 96, 208, 16, 48, 64),
    "4b": Maps(160, 112, 224, 24, 64, 64),
    "4c": Maps(128, 128, 256, 24, 64, 64),
    "4d": Maps(112, 144, 288, 32, 64, 64),
    "4e": Maps(256, 160, 320, 32, 128, 128),
    "5a": Maps(256, 160, 320, 32, 128, 128),
    "5b": Maps(384, 192, 384, 48, 128, 128),
}
TAPS = ("4a", "4d")
"""The inceptions after which the auxiliary classifiers look."""


class Unit(nn.Sequential):
    """A convolution, batch normalisation where it is wanted, and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, *, batch_norm: bool) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=not batch_norm)
        if batch_norm:
            layers["norm"] = nn.BatchNorm2d(outputs, eps=0.001)
        layers["relu"] = nn.ReLU()
        super().__init__(layers)


class Inception(nn.Module):
    """1×1, 3×3 and 5×5 convolutions and a pool side by side, reduced by 1×1: (n, M, H, W) → (n, N, H, W).

    Without `reduction` the 3×3 and the 5×5 see all maps, as in the paper's figure 2(a), `largest` is the 5.
    """

    def __init__(self, inputs: int, maps: Maps, *, largest: int, reduction: bool, batch_norm: bool) -> None:
        super().__init__()
        self.one = Unit(inputs, maps.one, 1, 1, 0, batch_norm=batch_norm)
        self.reduce3 = Unit(inputs, maps.reduce3, 1, 1, 0, batch_norm=batch_norm) if reduction else nn.Identity()
        self.three = Unit(maps.reduce3 if reduction else inputs, maps.three, 3, 1, 1, batch_norm=batch_norm)
        self.reduce5 = Unit(inputs, maps.reduce5, 1, 1, 0, batch_norm=batch_norm) if reduction else nn.Identity()
        self.five = Unit(
            maps.reduce5 if reduction else inputs, maps.five, largest, 1, largest // 2, batch_norm=batch_norm
        )
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.project = Unit(inputs, maps.project, 1, 1, 0, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """The four branches' maps in table 1's order."""
        branches = (self.one(x), self.three(self.reduce3(x)), self.five(self.reduce5(x)), self.project(self.pool(x)))
        return torch.cat(branches, dim=1)


class Auxiliary(nn.Module):
    """A classifier half way, for training only (section 5): (n, M, 14, 14) → (n, classes)."""

    def __init__(self, inputs: int, side: int, classes: int, width: float, dropout: float, *, batch_norm: bool) -> None:
        super().__init__()
        reduced, units = scaled(128, width), scaled(1024, width)
        pool: nn.Module = nn.AvgPool2d(5, 3)
        pooled = side_after(side, 5, 3)
        if pooled != 4:  # on small images: as many places as on the paper's
            pool, pooled = nn.AdaptiveAvgPool2d(4), 4
        self.pool = pool
        self.reduce = Unit(inputs, reduced, 1, 1, 0, batch_norm=batch_norm)
        self.dense = nn.Linear(reduced * pooled**2, units)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        x = self.reduce(self.pool(x)).flatten(1)  # (n, 128·4·4)
        logits: Tensor = self.output(self.dropout(self.relu(self.dense(x))))
        return logits


class GoogLeNet(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000): 22 layers with weights, nine inceptions, no hidden dense layer.

    With `auxiliary` it has the paper's two auxiliary classifiers, which `all_heads` answers too; they are trained with
    and never served. `largest` is the kernel of the 5×5 branch, `last_pool` that of the pool before 5a. For CIFAR-10,
    an adaptation: `size` 32, `stem` (3, 1, 1), `stem_pools` (1, 2), so that the inceptions see 16, 8 and 4 pixels.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        channels: int = 3,
        size: int = 224,
        width: float = 1.0,
        stem: Sequence[int] = (7, 2, 3),
        stem_pools: Sequence[int] = (2, 2),
        lrn: bool = True,
        lrn_k: float = 2.0,
        lrn_alpha: float = 1e-4,
        largest: int = 5,
        last_pool: int = 3,
        reduction: bool = True,
        batch_norm: bool = False,
        auxiliary: bool = False,
        dropout: float = 0.4,
        auxiliary_dropout: float = 0.7,
        drawing: str = "paper",
    ) -> None:
        super().__init__()
        kernel, stride, padding = stem
        narrow, wide = scaled(64, width), scaled(192, width)
        self.conv1 = Unit(channels, narrow, kernel, stride, padding, batch_norm=batch_norm)
        self.pool1 = _pool(3, stem_pools[0])
        self.norm1 = ResponseNorm(k=lrn_k, alpha=lrn_alpha) if lrn else nn.Identity()
        self.reduce2 = Unit(narrow, narrow, 1, 1, 0, batch_norm=batch_norm)
        self.conv2 = Unit(narrow, wide, 3, 1, 1, batch_norm=batch_norm)
        self.norm2 = ResponseNorm(k=lrn_k, alpha=lrn_alpha) if lrn else nn.Identity()
        self.pool2 = _pool(3, stem_pools[1])
        side = side_after(size, *stem)
        for step in (stem_pools[0], stem_pools[1], 2):
            side = side_after(side, 3, step, ceil=True) if step > 1 else side
        inputs = wide
        auxiliaries = iter(("aux1", "aux2"))
        for name, maps in INCEPTIONS.items():
            own = Maps(*(scaled(count, width) for count in maps))
            inception = Inception(inputs, own, largest=largest, reduction=reduction, batch_norm=batch_norm)
            self.add_module(f"inception{name}", inception)
            inputs = own.outputs
            if auxiliary and name in TAPS:
                head = Auxiliary(inputs, side, classes, width, auxiliary_dropout, batch_norm=batch_norm)
                self.add_module(next(auxiliaries), head)
        self.pool3, self.pool4 = _pool(3, 2), _pool(last_pool, 2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(inputs, classes)
        if initialised_as_published(drawing):
            initialise_xavier(self, bias=0.2)  # as BVLC's re-implementation, for the paper does not say
        else:
            initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The mean of the last maps, (n, 1024)."""
        return self._average(self._run(x)[-1])

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(self.dropout(features))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))

    def all_heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits (n, classes) of the net itself, then of each auxiliary classifier."""
        first, second, last = self._run(x)
        auxiliary = zip(("aux1", "aux2"), (first, second), strict=True)
        return self.head(self._average(last)), *(self.get_submodule(name)(maps) for name, maps in auxiliary)

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps of 4a, 4d and 5b."""
        x = self.norm1(self.pool1(self.conv1(x)))  # (n, 64, 56, 56)
        x = self.pool2(self.norm2(self.conv2(self.reduce2(x))))  # (n, 192, 28, 28)
        found = {}
        for name in INCEPTIONS:
            if name in ("4a", "5a"):
                x = (self.pool3 if name == "4a" else self.pool4)(x)  # (n, 480, 14, 14), (n, 832, 7, 7)
            x = found[name] = self.get_submodule(f"inception{name}")(x)
        return found["4a"], found["4d"], x

    def _average(self, maps: Tensor) -> Tensor:
        mean: Tensor = self.average(maps)
        return mean.flatten(1)


def _pool(kernel: int, stride: int) -> nn.Module:
    return nn.MaxPool2d(kernel, stride, ceil_mode=True) if stride > 1 else nn.Identity()
