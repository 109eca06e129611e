"""Which test images the units of a classifier answer most: looked for once, by `chapterhouse models units`."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from service.datasets.split import Split
from service.errors import InvalidRequest
from service.nets import attribution
from service.nets.fields import Field, receptive_fields
from service.nets.registry import open_net
from service.operations.strongest import STRONGEST, Description, Peaks, UnitLayer, save_strongest
from service.store import ImageInput, Model
from service.tasks.classify import normalise

BATCH = 100


def look_for_strongest(
    model: Model, test: Split, path: Path, *, on_progress: Callable[[float], object] = lambda _: None
) -> Description:
    """Write the strongest images of every unit of every layer of a classifier, and say what was written.

    Raises InvalidRequest for a net that has no maps.
    """
    spec, net = model.input, open_net(model.manifest.net, model.manifest.options, model.weights)
    with torch.inference_mode():
        example = normalise(torch.from_numpy(test.images[:1]), spec)
        layers = unit_layers(attribution.map_layers(net, example))
        if not layers:
            raise InvalidRequest(f"No layer of {model.id} answers with maps, of whose units there would be pictures.")
        search = _Search(net, layers)
        for start in range(0, len(test), BATCH):
            search.look_at(normalise(torch.from_numpy(test.images[start : start + BATCH]), spec), start)
            on_progress(min(1.0, (start + BATCH) / len(test)))
        fields = receptive_fields(net, example)
    described = tuple(_described(name, search.sizes[name], fields[name], spec) for name in layers)
    shown = np.unique(np.concatenate([search.numbers[name].numpy().ravel() for name in layers]))
    peaks = [
        Peaks(
            rows=np.searchsorted(shown, search.numbers[name].numpy()).astype(np.int32),
            strengths=search.strengths[name].numpy(),
            places=search.places[name].numpy().astype(np.int32),
        )
        for name in layers
    ]
    description = Description(
        model=model.id,
        version=model.version,
        dataset=f"{model.manifest.dataset} test",
        images=len(test),
        layers=described,
    )
    save_strongest(
        path,
        description,
        peaks,
        images=np.ascontiguousarray(test.images[shown]),
        numbers=shown.astype(np.int32),
        labels=test.labels[shown].astype(np.int32),
    )
    return description


def unit_layers(layers: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Of layers with maps, in the order of the forward pass, those whose maps are units: what has weights.

    Where batch normalisation follows a convolution, it is a part of it, and its answer is the unit's.
    """
    weighted = {name: layer for name, layer in layers.items() if any(True for _ in layer.parameters())}
    followed = {one for one, other in pairwise(layers) if isinstance(layers[other], nn.BatchNorm2d)}
    return {name: layer for name, layer in weighted.items() if name not in followed}


class _Search:
    """The images of the strongest activations so far: of each layer numbers, strengths and places (K, 9 or fewer)."""

    def __init__(self, net: nn.Module, layers: dict[str, nn.Module]) -> None:
        self._net = net
        self._layers = layers
        self.sizes: dict[str, torch.Size] = {}
        self.numbers: dict[str, Tensor] = {}
        self.strengths: dict[str, Tensor] = {}
        self.places: dict[str, Tensor] = {}

    def look_at(self, x: Tensor, first: int) -> None:
        """Go on with images (n, C, H, W), the first of which has this number."""
        with ExitStack() as hooks:
            for name, layer in self._layers.items():
                hooks.callback(layer.register_forward_hook(self._note(name, first)).remove)
            self._net(x)

    def _note(self, name: str, first: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, maps: Tensor) -> None:
            self.sizes[name] = maps.shape[1:]
            strengths, places = maps.flatten(2).max(dim=2)  # (n, K)
            numbers = torch.arange(first, first + len(maps))[:, None].expand_as(places)
            found = {"strengths": strengths.float(), "places": places, "numbers": numbers}
            for kind, values in found.items():
                known = getattr(self, kind).get(name)
                found[kind] = values.T if known is None else torch.cat([known, values.T], dim=1)
            # of equal ones the first image
            order = found["strengths"].argsort(dim=1, descending=True, stable=True)[:, :STRONGEST]
            for kind, values in found.items():
                getattr(self, kind)[name] = values.gather(1, order).clone()

        return hook


def _described(name: str, size: torch.Size, field: Field, spec: ImageInput) -> UnitLayer:
    """A layer, its fields counted from the stored pixels, without the padding around them."""
    units, height, width = size
    assert field.sides is not None, "a classifier's layers see a part of the image"
    (down, across), (step_down, step_across), (top, left) = field.sides, field.steps, field.starts
    return UnitLayer(
        name=name,
        units=units,
        size=(height, width),
        field=(down, across),
        steps=(step_down, step_across),
        starts=(top - spec.pad, left - spec.pad),
    )
