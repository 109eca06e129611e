"""LitServe: FastAPI before, a worker process behind a queue.

python -m benchmarks.peers.with_litserve PORT
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import litserve
from fastapi import Depends, Request
from torch import Tensor

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.registry import MAX_BATCH, WAIT_MS


async def body_of(request: Request) -> bytes:
    """The image file."""
    return await request.body()


class Served(litserve.LitAPI):
    """Its four verbs."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - there is one
        """Load."""
        self._classifier = Classifier()

    def decode_request(self, request: Annotated[bytes, Depends(body_of)]) -> Tensor:
        """An image file."""
        return self._classifier.decode(request)

    def batch(self, inputs: list[Tensor]) -> list[Tensor]:
        """Stacked by the classifier."""
        return inputs

    def predict(self, x: list[Tensor]) -> list[Answer]:
        """A batch."""
        return self._classifier.classify(x)

    def unbatch(self, output: Sequence[Answer]) -> Sequence[Answer]:
        """One answer for each."""
        return output

    def encode_response(self, output: Answer) -> Answer:
        """As it is."""
        return output


def main() -> None:
    """Serve on /predict."""
    api = Served(max_batch_size=MAX_BATCH, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True)
    server.run(
        port=int(sys.argv[1]), host="127.0.0.1", num_api_servers=1, generate_client_file=False, log_level="error"
    )


if __name__ == "__main__":
    main()
