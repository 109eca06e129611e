"""BentoML: a service that reads images, before one that collects them.

bentoml serve benchmarks.peers.with_bentoml:Front --port PORT
"""

import bentoml
import numpy as np
import torch
from PIL.Image import Image

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.registry import MAX_BATCH

LATENCY_MS = 60_000
"""Beyond which it cancels: never here."""


@bentoml.service(workers=1, traffic={"timeout": 60})
class Net:
    """Forward passes."""

    def __init__(self) -> None:
        self._classifier = Classifier()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LATENCY_MS)
    def classify(self, images: np.ndarray) -> list[Answer]:
        """A batch."""
        return self._classifier.classify([torch.from_numpy(image) for image in images])


@bentoml.service(workers=1, traffic={"timeout": 60})
class Front:
    """Image files."""

    net = bentoml.depends(Net)

    @bentoml.api
    async def classify(self, image: Image, /) -> Answer:
        """One image file, which is the body."""
        pixels = np.array(image.convert("L" if image.mode == "L" else "RGB"))
        [answer] = await self.net.to_async.classify(pixels.reshape(1, *pixels.shape[:2], -1))
        found: Answer = answer
        return found
