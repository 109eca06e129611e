"""The shipped classifier that every peer serves, read and computed as one would write it first."""

import io
import os
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from service.nets.registry import build_net
from service.nets.weights import load_weights
from service.settings import Settings
from service.store import ModelStore
from service.tasks.classify import normalise

MODEL, THREADS = "PEER_MODEL", "PEER_THREADS"
"""The variables that tell a peer's processes what to serve, and with how many threads of torch."""
Answer = dict[str, str | float]


class Classifier:
    """The weights of `models_store/` in the net of `service/nets/`."""

    def __init__(self) -> None:
        model = ModelStore(Settings().shipped_models_dir).get(os.environ[MODEL])
        self.model = model
        self.labels = model.manifest.labels
        self.net = build_net(model.manifest.net, model.manifest.options)
        load_weights(self.net, model.weights)
        self.net.eval()
        torch.set_num_threads(int(os.environ.get(THREADS, "1")))

    def decode(self, data: bytes | bytearray) -> Tensor:
        """An image file by Pillow: uint8 (H, W, C)."""
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.array(image.convert("L" if self.model.input.channels == 1 else "RGB"))
        return torch.from_numpy(pixels.reshape(*self.model.input.size, self.model.input.channels))

    def probabilities(self, images: Sequence[Tensor]) -> Tensor:
        """One forward pass: (n, classes)."""
        with torch.inference_mode():
            logits: Tensor = self.net(normalise(torch.stack(list(images)), self.model.input))
            return logits.softmax(dim=1)

    def answers(self, probabilities: Tensor) -> list[Answer]:
        """The likeliest label of each row."""
        best = probabilities.max(dim=1)
        return [
            {"label": self.labels[index], "probability": probability}
            for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def classify(self, images: Sequence[Tensor]) -> list[Answer]:
        """A batch of decoded images."""
        return self.answers(self.probabilities(images))
