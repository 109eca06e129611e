"""Sentences of chapters 4 and 5 that counting decides: parameters and multiply-accumulates of the nets at full size."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from service.nets.layers import count_macs, count_parameters, layer_table
from service.nets.registry import build_net


class Size(NamedTuple):
    """Parameters, and multiply-accumulates of one image."""

    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Count:
    """A sentence, what was counted, and whether the two agree."""

    sentence: str
    counted: str
    verdict: Literal["reproduced", "not reproduced"]


def size_of(net: str, *, side: int = 224, **options: Any) -> Size:
    """A net's, counted without any memory for it."""
    return _size_of(net, side, tuple(sorted(options.items())))


@lru_cache(maxsize=64)
def _size_of(net: str, side: int, options: tuple[tuple[str, Any], ...]) -> Size:
    with torch.device("meta"):
        built = build_net(net, dict(options))
        return Size(count_parameters(built), count_macs(built, torch.zeros(1, 3, side, side)))


def dense_parameters(net: str, **options: Any) -> int:
    """Those of a net's dense layers."""
    with torch.device("meta"):
        built = build_net(net, options)
    return sum(count_parameters(layer) for layer in built.modules() if isinstance(layer, nn.Linear))


def counts() -> list[Count]:
    """Every such sentence."""
    return [count() for count in COUNTS]


def _count(sentence: str, counted: str, *, holds: bool) -> Count:
    return Count(sentence, counted, "reproduced" if holds else "not reproduced")


def _lenet() -> Count:
    with torch.device("meta"):
        net = build_net("lenet5")
        rows = layer_table(net, torch.zeros(1, 1, 32, 32))
    units = {row.name: math.prod(row.output) for row in rows}
    weighted = sum(row.macs + units[row.name] * (row.name != "output") for row in rows if row.macs)  # each has a bias
    connections = weighted + sum(5 * units[name] for name in ("S2", "S4"))  # four pixels and a bias
    parameters = count_parameters(net)
    return _count(
        "LeNet-5 has 340,908 connections but only 60,000 trainable parameters, because of weight sharing"
        " (LeCun et al. 1998, section II-B).",
        f"{connections:,} connections, 840 of them to the fixed codes; {parameters:,} parameters.",
        holds=(connections, parameters) == (340_908, 60_000),
    )


def _dense_share() -> Count:
    alexnet, dense = size_of("alexnet").parameters, dense_parameters("alexnet")
    return _count(
        "Nearly all of AlexNet's parameters lie in its dense layers, nearly all multiplications in its convolutions.",
        f"{dense / alexnet:.1%} of {alexnet:,} parameters in dense layers; with as many multiplications in dense layers"
        f" as weights, {1 - dense / size_of('alexnet').macs:.1%} of {size_of('alexnet').macs:,} in convolutions.",
        holds=dense / alexnet > 0.9 and dense / size_of("alexnet").macs < 0.1,
    )


def _two_groups() -> Count:
    divided, whole = size_of("alexnet"), size_of("alexnet", groups=1)
    return _count(
        "AlexNet's two groups halve the cost of the layers that they divide.",
        f"{divided.macs:,} multiplications instead of {whole.macs:,} ({divided.macs / whole.macs:.0%}),"
        f" {divided.parameters:,} parameters instead of {whole.parameters:,}.",
        holds=divided.macs < 0.7 * whole.macs,
    )


def _average_pooling() -> Count:
    vgg, dense = size_of("vgg").parameters, dense_parameters("vgg")
    return _count(
        "Global average pooling needs no parameters where the dense layers of other nets hold most of theirs"
        " (Lin et al. 2014, section 3.2).",
        f"VGG D's dense layers hold {dense:,} of {vgg:,} ({dense / vgg:.0%}); NIN has no dense layer.",
        holds=dense / vgg > 0.5 and dense_parameters("nin") == 0,
    )


def _seven() -> Count:
    return _count(
        "One 7×7 has 81 % more parameters than three 3×3 with the same receptive field"
        " (Simonyan, Zisserman 2015, section 2.3).",
        f"49·C² against 27·C²: {49 / 27 - 1:.1%} more. One 5×5 has 25·C² against 18·C²: {25 / 18 - 1:.1%} more.",
        holds=round(49 / 27 - 1, 2) == 0.81,
    )


def _depth() -> Count:
    shallow, deep = (size_of("vgg", configuration=letter) for letter in "AE")
    return _count(
        "In spite of their depth VGG's nets have about as many parameters (Simonyan, Zisserman 2015, section 2.3).",
        f"A {shallow.parameters:,}, E {deep.parameters:,}: {deep.parameters / shallow.parameters - 1:.1%} more for"
        f" eight more layers, though {deep.macs / shallow.macs:.1f} times the multiplications.",
        holds=deep.parameters / shallow.parameters < 1.1,
    )


def _twelve_times() -> Count:
    alexnet, googlenet = size_of("alexnet").parameters, size_of("googlenet").parameters
    return _count(
        "GoogLeNet uses 12 times fewer parameters than AlexNet (Szegedy et al. 2015, section 1).",
        f"{alexnet:,} against {googlenet:,}: {alexnet / googlenet:.1f} times fewer. The paper's own table 1 adds up to"
        f" 6.8 million.",
        holds=alexnet / googlenet > 11.5,
    )


def _reduction() -> Count:
    reduced, naive = size_of("googlenet"), size_of("googlenet", reduction=False)
    return _count(
        "1×1 reductions make the inceptions affordable (Szegedy et al. 2015, figure 2).",
        f"{reduced.parameters:,} parameters and {reduced.macs:,} multiplications; without reductions"
        f" {naive.parameters:,} and {naive.macs:,}: {naive.parameters / reduced.parameters:.1f} and"
        f" {naive.macs / reduced.macs:.1f} times as many.",
        holds=naive.macs > 2 * reduced.macs,
    )


def _mobilenet() -> Count:
    separable, full = size_of("mobilenet"), size_of("mobilenet", convolution="standard")
    return _count(
        "3×3 depthwise separable convolutions need 8 to 9 times less computation than standard ones"
        " (Howard et al. 2017, section 3.1).",
        f"{full.macs:,} multiplications against {separable.macs:,}: {full.macs / separable.macs:.1f} times;"
        f" {full.parameters:,} parameters against {separable.parameters:,}:"
        f" {full.parameters / separable.parameters:.1f} times.",
        holds=8 <= full.macs / separable.macs <= 9,
    )


def _rank_one() -> Count:
    inputs, outputs, area = 256, 512, 3 * 3
    standard, depthwise = area * inputs * outputs, area * inputs + inputs * outputs
    rank_one = (area + inputs) * outputs
    return _count(
        "K filters of H×W over C channels, each a spatial map times a channel vector, need (H·W + C)·K instead of"
        " H·W·C·K parameters (the notes; Sironi et al. 2015).",
        f"3×3, C = 256, K = 512: {rank_one:,} instead of {standard:,} ({standard / rank_one:.1f} times fewer);"
        f" MobileNet's H·W·C + C·K: {depthwise:,} ({standard / depthwise:.1f} times fewer).",
        holds=rank_one * 8 < standard,
    )


def _width() -> Count:
    whole, half = size_of("mobilenet"), size_of("mobilenet", width=0.5)
    small = size_of("mobilenet", side=160)
    return _count(
        "MobileNet's width α reduces multiplications by about α², its resolution ρ by ρ², the latter without"
        " changing parameters (Howard et al. 2017, sections 3.3 and 3.4).",
        f"α = ½: {half.macs / whole.macs:.3f} of the multiplications (α² = 0.25),"
        f" {half.parameters / whole.parameters:.3f} of the parameters; 160 instead of 224 pixels:"
        f" {small.macs / whole.macs:.3f} (ρ² = {(160 / 224) ** 2:.3f}),"
        " parameters the same.",
        holds=abs(half.macs / whole.macs - 0.25) < 0.03 and abs(small.macs / whole.macs - (160 / 224) ** 2) < 0.01,
    )


def _xception() -> Count:
    separable, full = (size_of("xception", side=299, convolution=form) for form in ("depthwise", "standard"))
    return _count(
        "Xception's separable convolutions are what lets 36 layers of up to 2,048 maps be few parameters"
        " (Chollet 2017).",
        f"{separable.parameters:,} parameters and {separable.macs:,} multiplications; with standard convolutions"
        f" {full.parameters:,} and {full.macs:,}.",
        holds=full.parameters > 5 * separable.parameters,
    )


COUNTS: tuple[Callable[[], Count], ...] = (
    _lenet,
    _dense_share,
    _two_groups,
    _average_pooling,
    _seven,
    _depth,
    _twelve_times,
    _reduction,
    _mobilenet,
    _rank_one,
    _width,
    _xception,
)
