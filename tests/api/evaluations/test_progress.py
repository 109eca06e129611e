import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.asking import Caller, assert_problem, connect
from api.evaluating import asking, evaluating, state_over
from evaluation.packing import digits, npz
from waiting import eventually

from service.api.evaluations import progress
from service.api.gate import Application
from service.api.state import State
from service.evaluation.pipeline import Bench

Event = tuple[str, str, dict[str, Any]]


@pytest.fixture
def state(bench: Bench) -> State:
    return state_over(bench)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    sides = (npz(tmp_path / f"{seed}.npz", {"images": digits(20, seed=seed, size=2)}) for seed in (1, 2))
    return {name: side.read_bytes() for name, side in zip(("generated", "reference"), sides, strict=True)}


async def accepted(client: httpx.AsyncClient, files: dict[str, bytes]) -> str:
    reply = await client.post("/evaluate", files=files, data={"metrics": "fid"}, headers={"prefer": "wait=0"})
    assert reply.status_code == 202
    return str(reply.json()["id"])


def follow(app: Application, name: str) -> tuple[Caller, "asyncio.Task[None]"]:
    """A caller that follows an evaluation, and its request, which ends with the stream."""
    caller = Caller()
    return caller, asyncio.create_task(caller.ask(app, "GET", f"/evaluations/{name}/events"))


def events_of(text: str) -> list[Event]:
    """Id, kind and data of each event of a stream; comments and `retry` are passed over, as browsers do."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith((":", "retry")))
        if fields:
            events.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return events


async def test_an_evaluation_is_followed_to_its_end(state: State, files: dict[str, bytes]) -> None:
    async with asking(state) as (client, app):
        name = await accepted(client, files)
        caller, following = follow(app, name)
        await eventually(lambda: b"queued" in caller.body)
        async with evaluating(state):
            await following
        headers = httpx.Headers(caller.sent[0]["headers"])
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        text = caller.body.decode()
        assert text.startswith(f"retry: {progress.RETRY_MS}\n\n")
        events = events_of(text)
        assert [kind for _, kind, _ in events[-1:]] == ["end"]
        assert {kind for _, kind, _ in events[:-1]} == {"progress"}
        assert (events[0][2]["status"], events[-1][2]["status"]) == ("queued", "finished")
        assert {data["id"] for _, _, data in events} == {name}
        assert len({told for told, _, _ in events}) == len(events)


async def test_whoever_was_cut_off_asks_again_and_hears_only_what_is_new(state: State, files: dict[str, bytes]) -> None:
    async with asking(state) as (client, app):
        name = await accepted(client, files)
        place = f"/evaluations/{name}/events"
        app.gate.draining = True
        [queued] = events_of((await client.get(place)).text)
        again = await client.get(place, headers={"last-event-id": queued[0]})
        assert "shutting down" in again.text
        assert events_of(again.text) == []
        app.gate.draining = False
        await client.delete(f"/evaluations/{name}")
        [end] = events_of((await client.get(place, headers={"last-event-id": queued[0]})).text)
        assert (end[1], end[2]["status"]) == ("end", "cancelled")
        assert (await client.get(place, headers={"last-event-id": end[0]})).status_code == 204
        await client.delete(f"/evaluations/{name}")
        assert (await client.get(place)).status_code == 404


async def test_a_silent_stream_is_kept_alive(
    state: State, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "KEEP_ALIVE_S", 0.0)
    async with asking(state) as (client, app):
        name = await accepted(client, files)
        caller, following = follow(app, name)
        await eventually(lambda: b": still there\n\n" in caller.body)
        app.gate.draining = True
        await following
    assert len(events_of(caller.body.decode())) == 1


async def test_a_stream_ends_where_its_evaluation_is_removed(state: State, files: dict[str, bytes]) -> None:
    async with asking(state) as (client, app):
        name = await accepted(client, files)
        caller, following = follow(app, name)
        await eventually(lambda: b"queued" in caller.body)
        state.jobs.remove(name)
        state.jobs.remove(name)
        await following
        assert len(events_of(caller.body.decode())) <= 2


async def test_streams_are_limited_by_client_and_in_all_and_counted_until_they_end(
    bench: Bench, files: dict[str, bytes]
) -> None:
    state = state_over(bench, event_streams_limit=3, event_streams_limit_per_client=2)
    async with asking(state) as (client, app), connect(app, host="192.0.2.7", bears=False) as other:
        name = await accepted(client, files)
        place = f"/evaluations/{name}/events"
        first, second = follow(app, name), follow(app, name)
        await eventually(lambda: b"queued" in first[0].body and b"queued" in second[0].body)
        refused = await client.get(place)
        assert_problem(refused, 429, "This client follows 2 evaluations here")
        assert int(refused.headers["retry-after"]) >= 1
        state.streams.enter("198.51.100.1")
        assert_problem(await other.get(place), 429, "3 evaluations are followed here")
        state.streams.leave("198.51.100.1")
        for caller, following in (first, second):
            caller.gone.set()
            await following
        app.gate.draining = True
        assert (await client.get(place)).status_code == 200
        assert state.instruments.event_streams._value.get() == 0


async def test_a_stream_of_what_is_not_there_counts_nothing(state: State) -> None:
    async with asking(state) as (client, _):
        assert (await client.get("/evaluations/nobody/events")).status_code == 404
    assert state.instruments.event_streams._value.get() == 0
