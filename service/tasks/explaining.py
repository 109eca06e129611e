"""The methods of `/explain`, inside an engine: tensors to tensors, the images along axis 0 of each."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from service.errors import InvalidRequest
from service.nets import attribution
from service.nets.pauses import pause
from service.store import ImageInput, Manifest
from service.tasks.classify import normalise
from service.tasks.methods import Method, usual_layer

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


def answer(method: Method, task: Question, net: nn.Module, images: Tensor, manifest: Manifest) -> Sequence[Tensor]:
    """What a method answers of images uint8 (n, H, W, C). Raises InvalidRequest for what this net does not have."""
    spec = manifest.input
    assert spec is not None
    _check_below("label", task.label, len(manifest.labels))
    _check_below("square", task.square, min(spec.size) + 1)
    x = normalise(images, spec)
    methods: dict[Method, Callable[[], Sequence[Tensor]]] = {
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
    """The maps of a layer (n, K, h, w), and which units these are (n, K)."""
    _, layer = _choose(task, net, x, "activations")
    maps = attribution.maps_of(net, x, layer).float()
    return [_only(task, maps, axis=1), _units(task, maps.shape[1], x)]


def filters(task: Question, net: nn.Module, x: Tensor) -> Sequence[Tensor]:
    """The kernels of a layer, once an image: (n, K, C, kh, kw), and which units these are (n, K)."""
    name, layer = _choose(task, net, x, "filters")
    kernels = attribution.filters_of(layer, name).float()
    return [_only(task, kernels, axis=0).repeat(len(x), 1, 1, 1, 1), _units(task, len(kernels), x)]


def projections(
    task: Question, net: nn.Module, x: Tensor, spec: ImageInput, *, guided: bool = False
) -> Sequence[Tensor]:
    """Projections (n, U, C, H, W) of a layer's strongest maps, the maps (n, U) and their largest values (n, U)."""
    _, layer = _choose(task, net, x, "deconvnet")
    maps = attribution.maps_of(net, x, layer)  # (n, K, h, w)
    if task.unit >= 0:
        return _of_one_unit(task, net, x, layer, _only(task, maps, axis=1), spec, guided=guided)
    pixels, units, strengths = [], [], []
    for image, own in zip(x, maps, strict=True):
        pause()
        chosen = attribution.strongest_units(own, STRONGEST)
        sent_back = attribution.deconvolve(net, image[None], layer, chosen.tolist(), guided=guided)
        pixels.append(_without_border(sent_back, spec))
        units.append(chosen.to(x.device))
        strengths.append(own.amax(dim=(1, 2))[units[-1]])
    return [torch.stack(pixels), torch.stack(units), torch.stack(strengths)]


def _of_one_unit(
    task: Question, net: nn.Module, x: Tensor, layer: nn.Module, maps: Tensor, spec: ImageInput, *, guided: bool
) -> Sequence[Tensor]:
    """What `projections` answers of one map (n, 1, h, w) of each image, all sent back at once."""
    units = [task.unit] * len(x)
    pixels = attribution.send_back(net, x, layer, lambda all_: attribution.keep_peaks(all_, units), guided=guided)
    return [_without_border(pixels, spec)[:, None], _units(task, task.unit + 1, x), maps.amax(dim=(2, 3))]


def saliency(task: Question, net: nn.Module, x: Tensor, spec: ImageInput) -> Sequence[Tensor]:
    """How much each pixel moves the label's logit (n, H, W), the label's index (n,) and its probability (n,)."""
    logits = _logits(task, net, x)
    labels = _label(task, logits)
    probabilities = _log_odds(logits, labels).sigmoid()
    return [_without_border(attribution.saliency(net, x, labels), spec), labels, probabilities]


def occlusion(task: Question, net: nn.Module, images: Tensor, spec: ImageInput) -> Sequence[Tensor]:
    """The label's log-odds and probabilities behind a square of mean colour (n, h, w); numbers about the image (n,).

    These are the label's index, its log-odds and its probability in the whole image, and the side of the square.
    Log-odds tell certainties apart: a probability that rounds to 1 seems the same wherever the square lies.
    """
    logits = _logits(task, net, normalise(images, spec))
    labels = _label(task, logits)
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
            answers.append(_log_odds(_logits(task, net, normalise(covered, spec)), label.expand(len(some))))
        heat.append(torch.cat(answers).view(len(tops), len(lefts)))
    odds, whole = torch.stack(heat), _log_odds(logits, labels)
    return [odds, odds.sigmoid(), labels, whole, whole.sigmoid(), torch.full_like(labels, side)]


def _places(length: int, side: int) -> list[int]:
    """Where squares of this side begin along a side of the image: evenly, the last one at the far edge."""
    return torch.linspace(0, length - side, min(PLACES, length - side + 1)).round().int().tolist()


def _choose(task: Question, net: nn.Module, x: Tensor, method: Method) -> tuple[str, nn.Module]:
    """The layer that is asked about: as named, else the usual one of those with weights."""
    layers = attribution.map_layers(net, x[:1])
    name = task.layer
    if not name:
        weighted = {name: layer for name, layer in layers.items() if any(True for _ in layer.parameters())}
        name = usual_layer(method, attribution.map_sides(net, x[:1], weighted))
    return name, attribution.find_layer(layers, name)


def _only(task: Question, maps: Tensor, *, axis: int) -> Tensor:
    """All along an axis, or the unit that is asked about."""
    _check_below("unit", task.unit, maps.shape[axis])
    return maps.narrow(axis, task.unit, 1) if task.unit >= 0 else maps


def _units(task: Question, count: int, x: Tensor) -> Tensor:
    """Which of so many units are answered, for each image: (n, count), or (n, 1) where one is asked about."""
    chosen = torch.arange(count, device=x.device) if task.unit < 0 else torch.tensor([task.unit], device=x.device)
    return chosen.repeat(len(x), 1)


def _label(task: Question, logits: Tensor) -> Tensor:
    """The index (n,) of the label that is explained."""
    labels = logits.argmax(dim=1)
    return torch.full_like(labels, task.label) if task.label >= 0 else labels


def _logits(task: Question, net: nn.Module, x: Tensor) -> Tensor:
    """Those of the classes (n, classes), at the temperature."""
    logits: Tensor = net(x)
    return logits.float() / task.temperature


def _log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each label (n,) against all others: log p / (1 − p), without losing what p rounds away."""
    others = logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    return logits.gather(1, labels[:, None])[:, 0] - others


def _without_border(pixels: Tensor, spec: ImageInput) -> Tensor:
    """The stored pixels' part of (…, H + 2·pad, W + 2·pad)."""
    pad = spec.pad
    return pixels[..., pad:-pad, pad:-pad] if pad else pixels
