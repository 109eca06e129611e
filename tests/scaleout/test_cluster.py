"""What a cluster promises beside HTTP: every replica is reached, none that dies takes an answer along."""

import asyncio

import httpx
import numpy as np
import pytest
from doubles import images, likely
from scaleout.cluster import Cluster
from waiting import eventually, until

from service.imaging import encode_png

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

ASKERS = 16
PNG = {"content-type": "image/png"}


def image(first: int) -> bytes:
    """A PNG that Echo knows by its first pixel."""
    return encode_png(images(first)[0])


async def classified(client: httpx.AsyncClient, first: int) -> list[float]:
    """The probabilities of one image, in the order of the labels."""
    reply = await client.post("/classify", params={"top_k": 4, "as_is": "true"}, content=image(first), headers=PNG)
    assert reply.status_code == 200, reply.text
    [prediction] = reply.json()["predictions"]
    return [label["probability"] for label in sorted(prediction["labels"], key=lambda label: label["index"])]


async def test_every_caller_is_answered_with_his_own(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(classified(client, first) for first in range(1, 101)))
    np.testing.assert_allclose(answers, likely(*range(1, 101)), atol=1e-5)


async def test_loading_reaches_every_replica_and_each_front_knows(client: httpx.AsyncClient, cluster: Cluster) -> None:
    assert (await client.post("/models/gossiping/load")).status_code == 204
    series = (await client.get("/metrics")).text
    holding = [
        line
        for line in series.splitlines()
        if line.startswith("chapterhouse_model_loaded{") and 'model="gossiping"' in line
    ]
    assert len(holding) == 2, "an engine does not hold it"
    assert (await client.post("/models/gossiping/unload")).status_code == 204

    def nobody_holds_it() -> bool:
        return not any(cluster.get("/models/gossiping").json()["loaded"] for _ in range(8))

    await asyncio.to_thread(until, nobody_holds_it)


async def test_one_scrape_answers_for_every_replica(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    replicas = {part.split('"')[1] for line in text.splitlines() for part in line.split("replica=")[1:]}
    roles = sorted(name.split("-")[0] for name in replicas)
    assert roles == ["engine", "engine", "evaluator", "front", "front"]


@pytest.mark.parametrize("deployment", ["engine", "hub"])
async def test_a_killed_replica_takes_no_answer_along(
    client: httpx.AsyncClient, cluster: Cluster, deployment: str
) -> None:
    import ray

    over, answered = asyncio.Event(), 0

    async def ask(first: int) -> None:
        nonlocal answered
        while not over.is_set():
            np.testing.assert_allclose([await classified(client, first)], likely(first), atol=1e-5)
            answered += 1

    askers = [asyncio.create_task(ask(first + 1)) for first in range(ASKERS)]
    await eventually(lambda: answered > ASKERS)
    before = {replica._actor_id for replica in cluster.replicas(deployment)}
    ray.kill(cluster.replicas(deployment)[0], no_restart=True)
    await eventually(lambda: len({r._actor_id for r in cluster.replicas(deployment)} - before) == 1)
    enough = answered + 10 * ASKERS
    await eventually(lambda: answered > enough or any(asker.done() for asker in askers))
    over.set()
    await asyncio.gather(*askers)
