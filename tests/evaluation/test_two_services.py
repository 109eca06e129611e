import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from api.evaluating import asking, evaluating, state_over
from doubles import add_card
from evaluation.packing import digits, npz, pngs, zipped
from postgres import empty
from waiting import eventually

from service.api.scraping import Scraping
from service.api.state import State
from service.errors import StorageUnavailable
from service.evaluation.pipeline import Bench
from service.evaluation.queue import jobs as leases
from service.evaluation.queue.database import Database
from service.evaluation.queue.migrations import migrate
from service.evaluation.queue.uploads import Uploads
from service.evaluation.queue.wire import listen
from service.evaluation.shared_references import SharedReferences
from service.files import STALE_S
from service.storage.folder import Folder

HTML = {"accept": "text/html"}
WITH_FIGURES = {"metrics": "fid,mmd"}


@dataclass(frozen=True)
class Service:
    """One of several services, on a disk of its own."""

    state: State
    client: httpx.AsyncClient


@asynccontextmanager
async def serving(state: State) -> AsyncIterator[Service]:
    """A service without an evaluator, which hears what others change."""
    listening = asyncio.create_task(listen(state.jobs.database, state.jobs.changes))
    async with asking(state) as (client, _):
        yield Service(state, client)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    for database in (state.jobs.database, state.guard.keyring._keys._database):
        database.close()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def states(bench: Bench, postgres_url: sa.URL, shared: Path, tmp_path: Path) -> Iterator[list[State]]:
    empty(postgres_url)
    database = Database(postgres_url)
    migrate(database)
    add_card(bench.settings.shipped_models_dir / "echo")
    address = postgres_url.set(drivername="postgresql").render_as_string(hide_password=False)
    yield [
        state_over(bench, state_dir=tmp_path / name, database_url=address, storage_url=f"file://{shared}")
        for name in ("a", "b")
    ]
    database.close()


@pytest.fixture
async def services(states: list[State]) -> AsyncIterator[tuple[Service, Service]]:
    async with serving(states[0]) as a, serving(states[1]) as b:
        yield a, b


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    made = npz(tmp_path / "made.npz", {"images": digits(20, seed=2, size=2)})
    real = zipped(tmp_path / "real.zip", pngs(digits(24, seed=1, size=2)))
    return {"generated": made.read_bytes(), "reference": real.read_bytes()}


async def send(service: Service, files: dict[str, bytes]) -> str:
    """Send an evaluation and wait for nothing; its id."""
    reply = await service.client.post("/evaluate", files=files, data=WITH_FIGURES, headers={"prefer": "wait=0"})
    assert reply.status_code == 202, reply.text
    return str(reply.json()["id"])


def below(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def counted(service: Service, status: str) -> float:
    text = (await Scraping(service.state, lambda: False).read(draining=False)).collect()
    samples = [sample for family in text for sample in family.samples]
    named = [sample for sample in samples if sample.name == "chapterhouse_evaluations_open"]
    return sum(sample.value for sample in named if sample.labels["status"] == status)


async def test_what_one_service_accepted_the_other_works_on_shows_uses_again_and_deletes(
    services: tuple[Service, Service], files: dict[str, bytes], shared: Path
) -> None:
    a, b = services
    first = await send(a, files)
    assert below(shared) == [f"uploads/{first}/generated", f"uploads/{first}/reference"]
    assert below(a.state.settings.state / "uploads") == []
    async with evaluating(b.state):
        await eventually(lambda: b.state.jobs.get(first).is_over)
        report = (await a.client.get(f"/evaluations/{first}")).json()
        assert report["status"] == "finished", report
        pages = [await service.client.get(f"/evaluations/{first}", headers=HTML) for service in services]
        assert pages[0].text == pages[1].text
        assert "Nearest to real samples" in pages[0].text
        second = await send(a, files)
        await eventually(lambda: b.state.jobs.get(second).is_over)
        again = (await a.client.get(f"/evaluations/{second}")).json()
        assert (again["reused"], again["metrics"]) == (first, report["metrics"])
    await eventually(lambda: below(shared) == [f"reports/{name}/exhibits.npz" for name in sorted((first, second))])
    assert below(b.state.settings.state / "uploads") == []
    for name in (first, second):
        assert (await b.client.delete(f"/evaluations/{name}")).status_code == 204
        assert (await a.client.get(f"/evaluations/{name}")).status_code == 404
    assert below(shared) == []


async def test_what_a_service_had_begun_when_it_died_the_other_ends(
    services: tuple[Service, Service], files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = services
    name = await send(a, files)
    with monkeypatch.context() as patched:
        patched.setattr(leases, "LEASE_S", -1.0)
        assert a.state.jobs.claim("dead") is not None
    async with evaluating(b.state):
        await eventually(lambda: b.state.jobs.get(name).is_over)
    job = a.state.jobs.get(name)
    assert (job.status, job.attempt) == ("finished", 2)


async def test_a_reference_is_stored_compared_with_replaced_and_removed_on_any_of_them(
    services: tuple[Service, Service], files: dict[str, bytes]
) -> None:
    a, b = services
    real, made = {"reference": files["reference"]}, {"generated": files["generated"]}
    fields = {"reference_name": "mine", "metrics": "fid"}
    async with evaluating(b.state):
        put = await a.client.put("/references/mine", files=real, data={"features": "echo"})
        assert put.status_code == 201, put.text
        assert (await b.client.get("/references")).json() == {"references": [put.json()]}
        report = (await b.client.post("/evaluate", files=made, data=fields)).json()
        assert report["reference"]["sha256"] == put.json()["sha256"]
        assert (await a.client.get("/references/mine")).json()["count"] == 24
        replaced = await b.client.put("/references/mine", files={"reference": files["generated"]})
        assert (replaced.status_code, replaced.json()["count"]) == (200, 20)
        assert (await a.client.get("/references/mine")).json() == replaced.json()
    assert (await b.client.delete("/references/mine")).status_code == 204
    assert (await a.client.get("/references/mine")).status_code == 404
    assert (await a.client.get("/references")).json() == {"references": []}


async def test_numbers_of_all_services_can_be_added(services: tuple[Service, Service], files: dict[str, bytes]) -> None:
    for service in (services[0], services[0], services[1]):
        await send(service, files)
    assert [await counted(service, "queued") for service in services] == [2, 1]
    assert services[1].state.jobs.claim("one") is not None
    assert sum([await counted(service, "queued") for service in services]) == 2
    assert [await counted(service, "running") for service in services] == [0, 1]


async def test_what_nobody_wants_is_swept_from_where_all_see_it(states: list[State], shared: Path) -> None:
    uploads, references = states[0].uploads, states[0].references
    assert isinstance(references, SharedReferences)
    storage = Folder(shared, name=f"file://{shared}")
    old = time.time() - STALE_S - 60
    for name in ("wanted", "orphan", "new"):
        storage.write(f"uploads/{name}/generated", b"x")
    for name in ("wanted", "orphan"):
        os.utime(shared / "uploads" / name / "generated", (old, old))
    uploads.sweep_shared({"wanted"})
    assert below(shared) == ["uploads/new/generated", "uploads/wanted/generated"]
    copy = states[0].settings.state / "copies" / "0123" / "gone.safetensors"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"x")
    references.sweep()
    assert copy.exists()
    os.utime(copy, (old, old))
    references.sweep()
    assert not copy.parent.exists()


class Away(Folder):
    """A storage that does not answer while it is told to be away."""

    away = False

    def put(self, key: str, source: Path) -> None:
        if self.away:
            raise StorageUnavailable("away")
        super().put(key, source)


async def test_while_the_storage_is_away_nothing_is_accepted_and_the_caller_told_when_to_come_again(
    bench: Bench, files: dict[str, bytes], shared: Path, tmp_path: Path
) -> None:
    storage, state = Away(shared, name="shared"), state_over(bench)
    object.__setattr__(state, "uploads", Uploads(tmp_path / "state", storage))
    storage.away = True
    async with asking(state) as (client, _):
        refused = await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert (state.jobs.ids(), below(tmp_path / "state" / "uploads")) == (set(), [])
        storage.away = False
        assert (await client.post("/evaluate", files=files, headers={"prefer": "wait=0"})).status_code == 202
