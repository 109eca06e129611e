"""Whether a running service gives what the cards say: accuracies over HTTP, and FIDs, twice and under load.

    python experiments/cards.py [--server http://127.0.0.1:8000]

Every test image of MNIST is sent as a PNG, 64 at a time in flight; 5,000 images of every generator's card's seed are
drawn through `/generate` and sent to `/evaluate` against `mnist-test`, alone and while other clients load the service.
"""

import argparse
import asyncio
import math
import sys

import httpx

from service.datasets.registry import find_dataset
from service.imaging import encode_png
from service.settings import Settings
from service.store import Model, ModelStore

CLASSIFIER = "lenet5-mnist"
REFERENCE = "mnist-test"
IN_FLIGHT = 64
SAMPLES = 5000
OTHER_CLIENTS = 16


async def main(server: str) -> int:
    """Measure, compare and print; 1 where a number is not the card's."""
    store = ModelStore.of(Settings())
    limits = httpx.Limits(max_connections=IN_FLIGHT + OTHER_CLIENTS + 2)
    async with httpx.AsyncClient(base_url=server, timeout=600, limits=limits) as client:
        same = await accuracy(client, store.get(CLASSIFIER))
        for model_id in store.ids():
            model = store.get(model_id)
            if model.manifest.task == "generate" and model.card and "fid" in model.card.scores:
                same &= await distance(client, model)
    return 0 if same else 1


async def accuracy(client: httpx.AsyncClient, model: Model) -> bool:
    """Send every test image by itself and compare the accuracy with the card's."""
    test = find_dataset(model.manifest.dataset).load(Settings().data, "test")
    step = asyncio.Semaphore(IN_FLIGHT)
    codes: dict[int, int] = {}

    async def is_right(index: int) -> bool:
        async with step:
            reply = await client.post("/classify", params={"model": model.id}, content=encode_png(test.images[index]),
                                      headers={"content-type": "image/png"})  # fmt: skip
        codes[reply.status_code] = codes.get(reply.status_code, 0) + 1
        best = reply.json()["predictions"][0]["labels"][0]["index"]
        return bool(best == test.labels[index])

    right = sum(await asyncio.gather(*(is_right(index) for index in range(len(test)))))
    assert model.card is not None
    said = model.card.scores["accuracy"].value
    print(f"{model.id}: {right:,} of {len(test):,} right, the card says {said:.4f}; answers by status: {codes}")
    return right / len(test) == said and set(codes) == {200}


async def distance(client: httpx.AsyncClient, model: Model) -> bool:
    """Draw and measure twice, the second time under load, and compare with the card."""
    quiet = await fid(client, model)
    loaded = asyncio.Event()
    load = [asyncio.create_task(disturb(client, loaded)) for _ in range(OTHER_CLIENTS)]
    busy = await fid(client, model)
    loaded.set()
    others = sum(await asyncio.gather(*load))
    assert model.card is not None
    said = model.card.scores["fid"].value
    print(f"{model.id}: FID {quiet!r}, beside {others:,} other requests {busy!r}, the card says {said!r}")
    return quiet == busy and math.isclose(quiet, said, rel_tol=1e-9)


async def fid(client: httpx.AsyncClient, model: Model) -> float:
    """The FID of 5,000 images of the card's seed."""
    assert model.card is not None
    wanted = {"model": model.id, "count": SAMPLES, "seed": model.card.seed, "format": "npz"}
    images = (await client.post("/generate", json=wanted)).raise_for_status().content
    fields = {"reference_name": REFERENCE, "metrics": "fid"}
    reply = await client.post("/evaluate", files={"generated": images}, data=fields, headers={"prefer": "wait=600"})
    value: float = reply.raise_for_status().json()["metrics"]["fid"]["value"]
    return value


async def disturb(client: httpx.AsyncClient, enough: asyncio.Event) -> int:
    """Ask for pictures and labels until it is enough; how often."""
    asked = 0
    while not enough.is_set():
        drawn = await client.post("/generate", json={"count": 3, "seed": asked})
        await client.post("/classify", content=drawn.content, headers={"content-type": "image/png"})
        asked += 2
    return asked


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8000")
    sys.exit(asyncio.run(main(parser.parse_args().server)))
