"""Chapter 5: a K×K convolution of M maps into N, and what saves its parameters, each a drop-in for the other.

| form | parameters (biases aside) | source |
|---|---|---|
| standard | K²·M·N | |
| grouped | K²·M·N / 2 | Krizhevsky et al. 2012 |
| depthwise | K²·M + M·N | Sifre 2014; Howard et al. 2017 (MobileNet), Chollet 2017 (Xception) |
| rank-one | (K² + M)·N | Sironi et al. 2015: each of the N filters is a spatial map times a channel vector |
| bottleneck | M·B + K²·B·N, B = M / 4 | Lin et al. 2014; Szegedy et al. 2015 |
| asymmetric | K·M·N + K·N² | Szegedy et al. 2016 |
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from service.errors import InvalidManifest

GROUPS = 2
REDUCTION = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """What every form of a convolution has to be: maps in, maps out, kernel, stride, padding, bias."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = True


def _chain(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _standard(shape: Shape) -> nn.Module:
    return nn.Conv2d(shape.inputs, shape.outputs, shape.kernel, shape.stride, shape.padding, bias=shape.bias)


def _grouped(shape: Shape) -> nn.Module:
    groups = GROUPS if shape.inputs % GROUPS == 0 else 1  # an image's three channels are not divided
    return nn.Conv2d(
        shape.inputs, shape.outputs, shape.kernel, shape.stride, shape.padding, groups=groups, bias=shape.bias
    )


def _depthwise(shape: Shape) -> nn.Module:
    maps = shape.inputs
    return _chain(
        depthwise=nn.Conv2d(maps, maps, shape.kernel, shape.stride, shape.padding, groups=maps, bias=False),
        pointwise=nn.Conv2d(maps, shape.outputs, 1, bias=shape.bias),
    )


def _rank_one(shape: Shape) -> nn.Module:
    maps = shape.outputs
    return _chain(
        channels=nn.Conv2d(shape.inputs, maps, 1, bias=False),
        space=nn.Conv2d(maps, maps, shape.kernel, shape.stride, shape.padding, groups=maps, bias=shape.bias),
    )


def _bottleneck(shape: Shape) -> nn.Module:
    maps = max(1, shape.inputs // REDUCTION)
    return _chain(
        reduce=nn.Conv2d(shape.inputs, maps, 1, bias=shape.bias),
        relu=nn.ReLU(),
        conv=nn.Conv2d(maps, shape.outputs, shape.kernel, shape.stride, shape.padding, bias=shape.bias),
    )


def _asymmetric(shape: Shape) -> nn.Module:
    K, S, P = shape.kernel, shape.stride, shape.padding
    return _chain(
        column=nn.Conv2d(shape.inputs, shape.outputs, (K, 1), (S, 1), (P, 0), bias=False),
        row=nn.Conv2d(shape.outputs, shape.outputs, (1, K), (1, S), (0, P), bias=shape.bias),
    )


CONVOLUTIONS: dict[str, Callable[[Shape], nn.Module]] = {
    "asymmetric": _asymmetric,
    "bottleneck": _bottleneck,
    "depthwise": _depthwise,
    "grouped": _grouped,
    "rank-one": _rank_one,
    "standard": _standard,
}


def build_convolution(form: str, shape: Shape) -> nn.Module:
    """A convolution in this form. Raises InvalidManifest where there is none of this name."""
    if form not in CONVOLUTIONS:
        raise InvalidManifest(f"There is no convolution called {form!r}; there are {', '.join(CONVOLUTIONS)}.")
    return CONVOLUTIONS[form](shape)
