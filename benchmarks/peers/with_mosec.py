"""mosec: a front end in Rust, workers in Python; as one would write it first, with our decoder, with our engine code.

python -m benchmarks.peers.with_mosec --port PORT --path SOCKETS
"""

import gc
import os

import numpy as np
import orjson
import torch
from mosec import Server, Worker
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.registry import MAX_BATCH, WAIT_MS
from service.imaging import decode
from service.tasks.classify import Classify

CODE = "PEER_CODE"
LIMIT_PIXELS = 1 << 24


class Plain(Worker):
    """Pillow, one tensor an image, a stack of them, JSON of the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self._classifier = Classifier()

    def deserialize(self, data: bytes | bytearray) -> Tensor:
        """An image file."""
        return self._classifier.decode(data)

    def forward(self, data: list[Tensor]) -> list[Answer]:
        """A batch."""
        return self._classifier.classify(data)


class OurDecoder(Plain):
    """The same with the decoder of this service."""

    def deserialize(self, data: bytes | bytearray) -> Tensor:
        """An image file."""
        return torch.from_numpy(decode(bytes(data), limit_pixels=LIMIT_PIXELS))


class OurEngineCode(Worker):
    """Our decoder, one buffer of a batch that is kept, our forward pass, orjson, and nothing left to collect."""

    def __init__(self) -> None:
        super().__init__()
        self._classifier = Classifier()
        spec = self._classifier.model.input
        self._batch = np.empty((MAX_BATCH, *spec.size, spec.channels), np.uint8)
        gc.collect()
        gc.freeze()

    def deserialize(self, data: bytes | bytearray) -> NDArray[np.uint8]:
        """An image file."""
        return decode(bytes(data), limit_pixels=LIMIT_PIXELS)

    def forward(self, data: list[NDArray[np.uint8]]) -> list[Answer]:
        """A batch."""
        for row, pixels in enumerate(data):
            self._batch[row] = pixels
        rows = torch.from_numpy(self._batch[: len(data)])
        with torch.inference_mode():
            [logits] = Classify().forward(self._classifier.net, [rows], self._classifier.model.manifest)
            return self._classifier.answers(logits.softmax(dim=1))

    def serialize(self, data: Answer) -> bytes:
        """An answer."""
        return orjson.dumps(data)


WORKERS: dict[str, type[Worker]] = {"plain": Plain, "our-decoder": OurDecoder, "our-engine-code": OurEngineCode}


def main() -> None:
    """Serve on /inference."""
    server = Server()
    server.append_worker(WORKERS[os.environ[CODE]], num=1, max_batch_size=MAX_BATCH, max_wait_time=WAIT_MS)
    server.run()


if __name__ == "__main__":
    main()
