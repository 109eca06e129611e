"""How a net sees: its maps, its filters, and what in an image made them answer.

The deconvnet of Zeiler and Fergus (ECCV 2014, section 2.1) runs the net's layers backwards: unpooling with recorded
switches, rectification of what comes back, the same filters transposed. A backward pass does all of that exactly, also
where pools overlap (a place that several windows chose gets the sum) and where branches meet, but for three rules:
what comes back through a ReLU is itself rectified, whatever the ReLU let through on the way up; local normalisation is
passed over; a squashing unit, whose maps have both signs, lets everything pass. Batch normalisation is a part of the
filters before it.

Where nothing pools there are no switches, and what comes back shows the filters rather than the image: the guided
backward pass (Springenberg et al., Striving for simplicity, 2015, arXiv 1412.6806, section 3.4) also stops at each ReLU
what that had stopped on the way up.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from service.nets.activations import Squash
from service.nets.normalisation import ResponseNorm

RECTIFYING = (nn.ReLU, nn.ReLU6)
PASSED_OVER = (ResponseNorm, Squash, nn.Tanh)
SPATIAL = 4
"""Axes of a batch of maps."""


class NotInThisNet(Exception):
    """What was asked about is no part of the net: a layer with maps or filters, or gradients that reach the pixels."""

    def __init__(self, lacking: Literal["layer", "gradients"], message: str) -> None:
        super().__init__(message)
        self.lacking = lacking


@contextmanager
def gradients() -> Iterator[None]:
    """Record gradients, also inside an engine, which otherwise records nothing."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


def map_layers(net: nn.Module, x: Tensor) -> dict[str, nn.Module]:
    """The layers that answer `x` with maps and have parameters or change sizes, in the order of the forward pass."""
    found: dict[str, nn.Module] = {}

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            changes = any(True for _ in module.parameters()) or output.shape != inputs[0].shape
            if output.ndim == SPATIAL and changes:
                found[name] = module

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in net.named_modules():
            if name and not any(module.children()):
                hooks.callback(module.register_forward_hook(note(name)).remove)
        net(x)
    return found


def find_layer(layers: dict[str, nn.Module], name: str) -> nn.Module:
    """The layer of this name. Raises NotInThisNet, naming those there are."""
    if not layers:
        raise NotInThisNet("layer", "this net has no layer with maps; occlusion and saliency ask for none")
    if name not in layers:
        raise NotInThisNet("layer", f"there is no layer {name!r} with maps; there are {', '.join(layers)}")
    return layers[name]


def map_sides(net: nn.Module, x: Tensor, layers: dict[str, nn.Module]) -> dict[str, int]:
    """The shorter side of the maps that each layer answers to images (n, …)."""
    return {name: min(maps_of(net, x, layer).shape[2:]) for name, layer in layers.items()}


def maps_of(net: nn.Module, x: Tensor, layer: nn.Module) -> Tensor:
    """What a layer answers to images (n, …): maps (n, K, h, w)."""
    found: list[Tensor] = []
    with ExitStack() as hooks:
        hooks.callback(layer.register_forward_hook(lambda _module, _inputs, output: found.append(output)).remove)
        net(x)
    return found[-1]


@contextmanager
def deconvolving(net: nn.Module, *, guided: bool = False) -> Iterator[None]:
    """Inside, the backward pass of the net is the deconvnet, or the guided one."""
    with ExitStack() as hooks:
        for module in net.modules():
            if isinstance(module, RECTIFYING):
                hooks.callback(module.register_full_backward_hook(_guide if guided else _rectify).remove)
            elif isinstance(module, PASSED_OVER):
                hooks.callback(module.register_full_backward_hook(_pass).remove)
        yield


def _rectify(_module: nn.Module, _inputs: Any, outputs: Any) -> tuple[Tensor]:
    """What goes back from a layer: the positive part of what came back to it."""
    return (outputs[0].relu(),)


def _guide(_module: nn.Module, inputs: Any, _outputs: Any) -> tuple[Tensor]:
    """What goes back from a layer: the positive part of what the slope lets through."""
    return (inputs[0].relu(),)


def _pass(_module: nn.Module, _inputs: Any, outputs: Any) -> tuple[Tensor]:
    """What goes back from a layer: what came back to it."""
    return (outputs[0],)


def send_back(
    net: nn.Module, x: Tensor, layer: nn.Module, choose: Callable[[Tensor], Tensor], *, guided: bool = False
) -> Tensor:
    """What `choose` keeps of a layer's maps (n, K, h, w) of images, sent back to pixels: like `x`."""
    with gradients(), deconvolving(net, guided=guided):
        x = x.clone().requires_grad_()
        maps = maps_of(net, x, layer)
        (pixels,) = torch.autograd.grad(maps, x, choose(maps.detach()))
    return pixels


def strongest_units(maps: Tensor, count: int) -> Tensor:
    """The maps of one image (K, h, w) with the strongest activations, strongest first: (count,) or fewer."""
    peaks = maps.amax(dim=(1, 2))
    order = peaks.argsort(descending=True, stable=True)
    return order[:count]


def keep_peaks(maps: Tensor, units: Sequence[int]) -> Tensor:
    """Of row i of maps (n, K, h, w) the largest value of map units[i], rectified, in its place; nothing else."""
    kept = torch.zeros_like(maps)
    for row, unit in enumerate(units):
        place = maps[row, unit].argmax()
        kept[row, unit].view(-1)[place] = maps[row, unit].view(-1)[place].relu()
    return kept


def deconvolve(net: nn.Module, x: Tensor, layer: nn.Module, units: Sequence[int], *, guided: bool = False) -> Tensor:
    """The peak of each unit for one image (1, C, H, W), alone, sent back to pixels: (units, C, H, W)."""
    rows = x.expand(len(units), -1, -1, -1)
    return send_back(net, rows, layer, lambda maps: keep_peaks(maps, units), guided=guided)


def saliency(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """The largest change over the channels of each label's logit with each pixel of images (n, C, H, W): (n, H, W).

    Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, 2014 (arXiv 1312.6034), section 3.1. Raises
    NotInThisNet for a net that hands nothing back, such as a reservoir, which is run without gradients.
    """
    with gradients():
        x = x.clone().requires_grad_()
        logits: Tensor = net(x)  # (n, classes)
        if not logits.requires_grad:
            raise NotInThisNet("gradients", "this net hands no slopes back to pixels; occlusion needs none")
        (slope,) = torch.autograd.grad(logits.gather(1, labels[:, None].clone()).sum(), x)
    return slope.abs().amax(dim=1)


def filters_of(layer: nn.Module, name: str) -> Tensor:
    """A layer's kernels (K, C, kh, kw). Raises NotInThisNet for a layer that is no convolution."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != SPATIAL:
        raise NotInThisNet("layer", f"{name} is no convolution; it has no filters")
    return weight.detach()
