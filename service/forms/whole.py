"""A classifier from stored pixels to logits as one net, in few steps: what every form is made of."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from service.nets.folding import simplified
from service.nets.registry import open_net
from service.store import ImageInput, Model


class Whole(nn.Module):
    """Stored pixels uint8 (n, H, W, C) to logits float32 (n, classes); between them the net's own precision."""

    def __init__(self, net: nn.Module, spec: ImageInput, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.net = net.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._dtype = dtype
        self._pad = [spec.pad] * 4
        std = torch.tensor(spec.std).view(-1, 1, 1)
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -torch.tensor(spec.mean).view(-1, 1, 1) / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise, classify."""
        x = images.permute(0, 3, 1, 2).float()
        if self._pad[0]:
            x = pad(x, self._pad)
        x = x * self.get_buffer("scale") + self.get_buffer("shift")
        logits: Tensor = self.net(x.to(self._dtype))
        return logits.float()


def whole_of(model: Model, dtype: torch.dtype = torch.float32) -> Whole:
    """A model's classifier from pixels to logits, its net simplified, ready to infer."""
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    with torch.no_grad():
        return Whole(simplified(net), model.input, dtype).eval()


def example_of(model: Model, rows: int = 2) -> Tensor:
    """Black images (rows, H, W, C), for what has to see some to be made."""
    spec = model.input
    return torch.zeros(rows, *spec.size, spec.channels, dtype=torch.uint8)
