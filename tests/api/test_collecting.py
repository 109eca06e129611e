import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from api.asking import connect
from doubles import FakeEngine
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from waiting import PATIENCE_S, eventually

from service.api.collecting import Collecting, Joining
from service.api.gate import Application
from service.runtime.calls import LoadedModel
from service.telemetry.instruments import Instruments


class Slowly(Instruments):
    """Instruments that take as long to be read as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.reads = 0

    def collector(self, directory: Path | None) -> CollectorRegistry:  # noqa: ARG002 - there is none
        found = CollectorRegistry(support_collectors_without_names=True)
        found.register(Held(self))
        return found


class Held(Collector):
    def __init__(self, instruments: Slowly) -> None:
        self._instruments = instruments

    def collect(self) -> Iterator[Metric]:
        held = self._instruments
        held.reads += 1
        held.entered.set()
        assert held.let_go.wait(PATIENCE_S)
        yield GaugeMetricFamily("reads", "How often it was read.", held.reads)


async def test_while_instruments_are_read_the_event_loop_goes_on_and_all_who_ask_share_the_next_reading() -> None:
    instruments = Slowly()
    collecting = Collecting(instruments, Path("somewhere"))
    first = asyncio.create_task(collecting.families())
    await eventually(instruments.entered.is_set)
    others = [asyncio.create_task(collecting.families()) for _ in range(50)]
    await asyncio.sleep(0)
    instruments.let_go.set()
    assert (await first)[0].samples[0].value == 1
    assert {found[0].samples[0].value for found in await asyncio.gather(*others)} == {2}
    assert instruments.reads == 2


async def test_what_cannot_be_made_is_told_to_all_who_asked_and_tried_again_for_the_next() -> None:
    outcomes: list[Exception | str] = [OSError("gone"), "made"]

    async def make() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    joined = Joining(make)
    failed = await asyncio.gather(joined(), joined(), return_exceptions=True)
    assert [type(one) for one in failed] == [OSError, OSError]
    assert await joined() == "made"


async def test_whoever_hangs_up_takes_nothing_from_those_who_wait_with_it() -> None:
    let_go = asyncio.Event()

    async def make() -> str:
        await let_go.wait()
        return "made"

    joined = Joining(make)
    gone, waiting = asyncio.create_task(joined()), asyncio.create_task(joined())
    await asyncio.sleep(0)
    gone.cancel()
    let_go.set()
    assert await waiting == "made"


async def test_a_scrape_knows_how_things_stand_now(make_app: Callable[..., Application]) -> None:
    ready = LoadedModel("1", "ready", "cpu")
    app = make_app(FakeEngine(held={"echo": ready, "doodle": ready}))
    async with connect(app) as client:
        assert "chapterhouse_ready 1.0" in (await client.get("/metrics")).text
        app.gate.draining = True
        some = (await client.get("/metrics", params={"name[]": ["chapterhouse_ready"]})).text
    assert [line for line in some.splitlines() if not line.startswith("#")] == ["chapterhouse_ready 0.0"]
