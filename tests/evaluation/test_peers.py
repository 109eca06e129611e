"""One evaluation over the engines of several services has the bits that it has over one, whatever dies meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from evaluation.packing import digits
from waiting import eventually

from service.evaluation.extraction import extract_features
from service.evaluation.patience import PatientEngines
from service.evaluation.peers import Alone, Peers, peers_of
from service.evaluation.queue.database import HOMES, Database
from service.evaluation.queue.homes import LISTED_S, Homes, engines_elsewhere
from service.evaluation.queue.jobs import Jobs
from service.runtime.calls import LoadedModel
from service.runtime.devices import Device
from service.runtime.engine import Engine
from service.runtime.kinds import of_one_kind
from service.runtime.listener import Listener
from service.runtime.peers import Address, Meeting
from service.runtime.pool import EnginePool
from service.runtime.work import Work
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments

SECRET = b"a secret of thirty-two characters"
IMAGES = digits(600, size=2)


class Counting:
    """A running engine of a service, which notes what it is asked, and after so much of it hangs up on everybody."""

    def __init__(self, store: ModelStore, *, until: int = 1 << 30) -> None:
        self.device = Device("cpu", threads=1)
        self._engine = Engine(store, self.device, instruments=Instruments())
        self.listener = Listener(self, bits=self.device.bits)
        self._engine.on_change.append(self.listener.send_status)
        self._until = until
        self.asked = 0

    async def start(self, socket: Path) -> Address:
        """Where peers reach it; it holds the model that is asked for."""
        await self._engine.start()
        await self._engine.load("echo")
        await self.listener.listen(socket)
        return Address("127.0.0.1", await self.listener.listen_to_peers(Address("127.0.0.1", 0), SECRET))

    async def stop(self) -> None:
        await self.listener.close()
        await self._engine.stop()

    def enqueue(self, work: Work) -> None:
        self.asked += 1
        if self.asked <= self._until:
            self._engine.enqueue(work)
            return
        for connection in self.listener.connections:
            connection.close()

    def cancel(self, work: Work) -> None:
        self._engine.cancel(work)

    async def load(self, model_id: str) -> None:
        await self._engine.load(model_id)

    async def unload(self, model_id: str) -> None:
        await self._engine.unload(model_id)

    def models(self) -> dict[str, LoadedModel]:
        return dict(self._engine.models())

    def rows_waiting(self) -> int:
        return self._engine.rows_waiting()


@pytest.fixture
async def pool(sockets: Path) -> AsyncIterator[EnginePool]:
    started = EnginePool([sockets / "all-0.sock"])
    await started.start()
    yield started
    await started.stop()


async def features_over(pool: EnginePool, store: ModelStore) -> np.ndarray:
    features, _ = await extract_features(PatientEngines(of_one_kind(pool)), store.get("echo"), IMAGES)
    return np.array(features)


@pytest.mark.parametrize("until", [1 << 30, 2], ids=["both", "one is lost"])
async def test_two_services_have_the_bits_of_one(
    store: ModelStore, database: Database, pool: EnginePool, sockets: Path, until: int
) -> None:
    own, other = Counting(store), Counting(store, until=until)
    await own.start(sockets / "all-0.sock")
    address = await other.start(sockets / "other-0.sock")
    alone = await features_over(pool, store)
    Homes(Jobs(database, home="there"), limit_s=1.0, engines=[str(address)]).beat()
    meeting = Meeting(Address("127.0.0.1", 1), SECRET)
    peers = Peers(meeting, Jobs(database, home="here"), pool, [sockets / "all-0.sock"])
    async with peers.beside():
        await eventually(lambda: pool._peers and pool._peers[0].models)
        np.testing.assert_array_equal(await features_over(pool, store), alone)
    assert other.asked >= min(until, 3)
    await eventually(lambda: not pool._peers)
    for counting in (own, other):
        await counting.stop()


async def test_the_last_who_works_lets_peers_go(database: Database, pool: EnginePool, sockets: Path) -> None:
    Homes(Jobs(database, home="there"), limit_s=1.0, engines=["127.0.0.1:1", "nowhere"]).beat()
    peers = Peers(Meeting(Address("h", 8100), SECRET), Jobs(database, home="here"), pool, [sockets / "all-0.sock"])
    async with peers.beside():
        async with peers.beside():
            await eventually(lambda: pool._reaching)
        assert list(pool._reaching) == [("127.0.0.1", 1)]
    assert not pool._reaching


def test_a_service_tells_where_its_engines_are_and_hears_of_those_that_told_lately(database: Database) -> None:
    here, there = (Jobs(database, home=name) for name in ("here", "there"))
    Homes(here, limit_s=1.0, engines=["10.0.0.1:8100"]).beat()
    Homes(there, limit_s=1.0, engines=["10.0.0.2:8100", "10.0.0.2:8101"]).beat()
    assert engines_elsewhere(here) == ["10.0.0.2:8100", "10.0.0.2:8101"]
    with database.writing() as connection:
        connection.execute(sa.update(HOMES).where(HOMES.c.id == "there").values(seen=HOMES.c.seen - LISTED_S - 1))
    assert engines_elsewhere(here) == []
    Homes(there, limit_s=1.0).beat()
    assert engines_elsewhere(here) == []


def test_engines_for_forecasts_are_not_told_of_and_rays_are_its_own(jobs: Jobs, sockets: Path) -> None:
    told = Settings(
        database_url="postgresql://here/name", engines_address="10.0.0.1:8100", engines_secret="s" * 32, devices="cpu"
    )
    paths = [sockets / name for name in ("others-0.sock", "others-1.sock", "forecasts-2.sock")]
    engines = EnginePool(paths)
    assert peers_of(told, jobs, engines, paths).own == ["10.0.0.1:8100", "10.0.0.1:8101"]
    assert type(peers_of(told.model_copy(update={"devices": "ray"}), jobs, engines, paths)) is Alone
    assert type(peers_of(Settings(), jobs, engines, paths)) is Alone


@pytest.fixture
def jobs(service_settings: Settings) -> Jobs:
    return Jobs.of(service_settings)
