"""The methods of `/explain`, inside an engine: tensors to tensors, the images along axis 0 of each."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from service.errors import InvalidRequest
from service.nets import attribution
from service.nets.pauses import pause
from service.store import ImageInput, Manifest
from service.tasks.classify import normalise

STRONGEST = 9
"""How many maps are sent back to pixels where no unit is named, as in the paper's figure 2."""
COVER = 3
"""The occluding square is this part of the image's side, unless its own is given in pixels."""
AT_ONCE = 4
"""Places that are forwarded together: few, so that others need not wait long for a layer to be done with them."""
PLACES = 14
"""So many places along each side are occluded, at most; they lie evenly from edge to edge."""


class Question(Protocol):
    """What of a net is asked about; a number below 0, an empty name and a square of 0 are left to the method."""

    @property
    def layer(self) -> str:
        """A layer's name."""
        ...

    @property
    def unit(self) -> int:
        """One map, or filter, of the layer."""
        ...

    @property
    def label(self) -> int:
        """A label's index."""
        ...

    @property
    def square(self) -> int:
        """The side in pixels of what occludes."""
        ...

    @property
    def temperature(self) -> float:
        """What logits are divided by before they are probabilities."""
        ...


def answer(method: str, task: Question, net: nn.Module, images: Tensor, manifest: Manifest) -> Sequence[Tensor]:
    """What a method answers of images uint8 (n, H, W, C). Raises InvalidRequest for what this net does not have."""
    spec = manifest.input
    assert spec is not None
    _check_below("label", task.label, len(manifest.labels))
    _check_below("square", task.square, min(spec.size) + 1)
    x = normalise(images, spec)
    methods = {
        "activations": lambda: activations(task, net, x),
        "deconvnet": lambda: projections(task, net, x, spec),
        "filters": lambda: filters(task, net, x),
        "guided": lambda: projections(task, net, x, spec, guided=True),
        "occlusion": lambda: occlusion(task, net, images, spec),
        "saliency": lambda: saliency(task, net, x, spec),
    }
    try:
        return methods[method]()
    except attribution.NotInThisNet as error:
        field = "layer" if error.lacking == "layer" else "method"
        raise InvalidRequest.of_field(field, str(error)) from error


def _check_below(field: str, value: int, count: int) -> None:
    if value >= count:
        raise InvalidRequest.of_field(field, f"must be below {count}")


def activations(task: Question, net: nn.Module, x: Tensor) -> Sequence[Tensor]:
    """The maps of a layer, (n, K, h, w)."""
    _, layer = _choose(task, net, x)
    return [_only(task, attribution.maps_of(net, x, layer).float(), axis=1)]


def filters(task: Question, net: nn.Module, x: Tensor) -> Sequence[Tensor]:
    """The kernels of a layer, once an image: (n, K, C, kh, kw)."""
    name, layer = _choose(task, net, x, first=True)
    kernels = _only(task, attribution.filters_of(layer, name).float(), axis=0)
    return [kernels.repeat(len(x), 1, 1, 1, 1)]


def projections(
    task: Question, net: nn.Module, x: Tensor, spec: ImageInput, *, guided: bool = False
) -> Sequence[Tensor]:
    """Projections (n, U, C, H, W) of a layer's strongest maps, the maps (n, U) and their largest values (n, U)."""
    _, layer = _choose(task, net, x)
    maps = attribution.maps_of(net, x, layer)  # (n, K, h, w)
    _only(task, maps, axis=1)
    pixels, units, strengths = [], [], []
    for image, own in zip(x, maps, strict=True):
        pause()
        chosen = torch.tensor([task.unit]) if task.unit >= 0 else attribution.strongest_units(own, STRONGEST)
        sent_back = attribution.deconvolve(net, image[None], layer, chosen.tolist(), guided=guided)
        pixels.append(_without_border(sent_back, spec))
        units.append(chosen.to(x.device))
        strengths.append(own.amax(dim=(1, 2))[units[-1]])
    return [torch.stack(pixels), torch.stack(units), torch.stack(strengths)]


def saliency(task: Question, net: nn.Module, x: Tensor, spec: ImageInput) -> Sequence[Tensor]:
    """How much each pixel moves the label's logit (n, H, W), the label's index (n,) and its probability (n,)."""
    labels, probabilities = _label(task, net, x)
    return [_without_border(attribution.saliency(net, x, labels), spec), labels, probabilities]


def occlusion(task: Question, net: nn.Module, images: Tensor, spec: ImageInput) -> Sequence[Tensor]:
    """The label's probability behind a square of mean colour (n, h, w), index (n,), own probability (n,), side (n,)."""
    labels, probabilities = _label(task, net, normalise(images, spec))
    height, width = spec.size
    side = task.square or max(1, min(height, width) // COVER)
    colour = (torch.tensor(spec.mean) * 255).round().to(images)
    tops, lefts = _places(height, side), _places(width, side)
    places = [(top, left) for top in tops for left in lefts]
    heat = []
    for image, label in zip(images, labels, strict=True):
        answers = []
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            covered = image.repeat(len(some), 1, 1, 1)  # (places, H, W, C)
            for row, (top, left) in enumerate(some):
                covered[row, top : top + side, left : left + side] = colour
            answers.append(_probabilities(task, net, normalise(covered, spec))[:, label])
        heat.append(torch.cat(answers).view(len(tops), len(lefts)))
    return [torch.stack(heat), labels, probabilities, torch.full_like(labels, side)]


def _places(length: int, side: int) -> list[int]:
    """Where squares of this side begin along a side of the image: evenly, the last one at the far edge."""
    return torch.linspace(0, length - side, min(PLACES, length - side + 1)).round().int().tolist()


def _choose(task: Question, net: nn.Module, x: Tensor, *, first: bool = False) -> tuple[str, nn.Module]:
    """The layer that is asked about: as named, else the last one with maps, or the first."""
    layers = attribution.map_layers(net, x[:1])
    usual = [name for name, layer in layers.items() if getattr(layer, "weight", None) is not None]
    name = task.layer or (usual[0 if first else -1] if usual else "")
    return name, attribution.find_layer(layers, name)


def _only(task: Question, maps: Tensor, *, axis: int) -> Tensor:
    """All along an axis, or the unit that is asked about."""
    _check_below("unit", task.unit, maps.shape[axis])
    return maps.narrow(axis, task.unit, 1) if task.unit >= 0 else maps


def _label(task: Question, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The index (n,) of the label that is explained, and its probability (n,)."""
    probabilities = _probabilities(task, net, x)
    labels = probabilities.argmax(dim=1)
    if task.label >= 0:
        labels = torch.full_like(labels, task.label)
    return labels, probabilities.gather(1, labels[:, None])[:, 0]


def _probabilities(task: Question, net: nn.Module, x: Tensor) -> Tensor:
    """Those of the classes (n, classes), at the temperature."""
    logits: Tensor = net(x)
    return (logits.float() / task.temperature).softmax(dim=1)


def _without_border(pixels: Tensor, spec: ImageInput) -> Tensor:
    """The stored pixels' part of (…, H + 2·pad, W + 2·pad)."""
    pad = spec.pad
    return pixels[..., pad:-pad, pad:-pad] if pad else pixels
