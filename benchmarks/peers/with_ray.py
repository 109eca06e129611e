"""Ray Serve: a proxy and a replica, batches by `serve.batch`.

python -m benchmarks.peers.with_ray PORT
"""

import asyncio
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.registry import MAX_BATCH, WAIT_MS

STORE_BYTES = 100_000_000


@serve.deployment(max_ongoing_requests=1024)
class Served:
    """One replica."""

    def __init__(self) -> None:
        self._classifier = Classifier()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=WAIT_MS / 1000)
    async def classify(self, bodies: list[bytes]) -> list[Answer]:
        """A batch."""
        return self._classifier.classify([self._classifier.decode(body) for body in bodies])

    async def __call__(self, request: Request) -> Answer:
        """One image file."""
        answer: Answer = await self.classify(await request.body())
        return answer


async def main() -> None:
    """Serve on /."""
    ray.init(include_dashboard=False, object_store_memory=STORE_BYTES, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    deployment: Any = Served
    serve.run(deployment.bind())
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
