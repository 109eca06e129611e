"""The net that is looked into, what its layers answer to images, and images that it knows."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from service.datasets.split import Split
from service.imaging import Pixels
from service.nets.registry import open_net
from service.store import ImageInput, Model
from service.tasks.classify import normalise

SURE = 0.8
"""The probability of its true label from which on an image counts as known."""
BLOCK = 100


class Subject:
    """A trained net; it stays as it is."""

    def __init__(self, model: Model) -> None:
        self.spec: ImageInput = model.input
        self.net = open_net(model.manifest.net, model.manifest.options, model.weights)
        self.net.eval().requires_grad_(requires_grad=False)

    @torch.inference_mode()
    def answers(self, pixels: Pixels, layers: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
        """What layers say of images uint8 (n, H, W, C), each (n, d), and the probabilities (n, classes)."""
        found: dict[str, list[Tensor]] = {name: [] for name in layers}
        hooks = [
            self.net.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, output, name=name: found[name].append(output.flatten(1))
            )
            for name in layers
        ]
        blocks = torch.split(torch.from_numpy(pixels), BLOCK)
        probabilities = torch.cat([self.net(normalise(block, self.spec)).softmax(dim=1) for block in blocks])
        for hook in hooks:
            hook.remove()
        return {name: torch.cat(parts) for name, parts in found.items()}, probabilities

    def known(self, images: Split, each: int) -> dict[int, Pixels]:
        """The first images of each class that it is sure of, (each, H, W, C) by label."""
        _, probabilities = self.answers(images.images, ())
        own = probabilities.numpy()[np.arange(len(images)), images.labels]
        chosen = {}
        for label in np.unique(images.labels):
            places = np.flatnonzero((images.labels == label) & (own >= SURE))[:each]
            if len(places) == each:
                chosen[int(label)] = images.images[places]
        return chosen
