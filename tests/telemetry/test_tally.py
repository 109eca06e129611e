import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from waiting import PATIENCE_S

from service.telemetry.instruments import Instruments
from service.telemetry.tally import TalliedCounter, TalliedGauge, TalliedHistogram, Tally


class Written:
    """A series that only says how often it was flushed."""

    def __init__(self) -> None:
        self.count = 0
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.count += 1
        self.flushed.set()


class Counted:
    """One instrument of each kind, and the plain ones that they have to agree with."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.tallied, self.plain = CollectorRegistry(), CollectorRegistry()
        t, p, tally = self.tallied, self.plain, self.tally
        self.counters = (
            TalliedCounter("c", "Counts.", ["of"], registry=t, tally=tally),
            Counter("c", "Counts.", ["of"], registry=p),
        )
        self.gauges = TalliedGauge("g", "Is.", registry=t, tally=tally), Gauge("g", "Is.", registry=p)
        self.histograms = (
            TalliedHistogram("h", "Lies.", ["in"], buckets=(1, 2, 5), registry=t, tally=tally),
            Histogram("h", "Lies.", ["in"], buckets=(1, 2, 5), registry=p),
        )

    def count(self) -> None:
        for counter in self.counters:
            counter.labels("a").inc()
            counter.labels("a").inc(2.5)
            counter.labels(of="b").inc()
            counter.labels("none")
        for gauge in self.gauges:
            gauge.set(3)
            gauge.set(7)
        for histogram in self.histograms:
            for value in (0, 1, 1.5, 2, 4.9, 5, 6, 1e9):
                histogram.labels("x").observe(value)


def without_times(text: bytes) -> list[bytes]:
    return [line for line in text.splitlines() if b"_created" not in line]


def test_what_is_tallied_reads_as_what_is_counted_at_once() -> None:
    counted = Counted()
    for _ in range(2):
        counted.count()
        assert without_times(generate_latest(counted.tallied)) == without_times(generate_latest(counted.plain))


def test_several_values_are_counted_as_one_after_the_other() -> None:
    counted = Counted()
    several, singly = counted.histograms[0].labels("x"), counted.histograms[1].labels("x")
    for values in ([], [0.5], [1, 1.5, 7], [2, 5]):
        several.observe_all(values)
        for value in values:
            singly.observe(value)
        assert without_times(generate_latest(counted.tallied)) == without_times(generate_latest(counted.plain))


async def test_nothing_reaches_the_shared_instruments_before_the_tally_is_flushed() -> None:
    counted = Counted()
    counted.count()
    series = counted.counters[0].labels("a")
    assert series._value.get() == 0
    counted.tally.flush()
    assert series._value.get() == 3.5
    assert counted.histograms[0].labels("x")._sum.get() == counted.histograms[1].labels("x")._sum.get()
    assert counted.gauges[0]._value.get() == 7


async def test_a_tally_is_flushed_by_itself_soon_after_something_was_counted() -> None:
    tally = Tally()
    for times in (1, 2):
        first, second = Written(), Written()
        for series in (first, second):
            tally.note(series)
        await asyncio.wait_for(second.flushed.wait(), PATIENCE_S)
        assert (first.count, second.count) == (1, 1), times


def test_without_an_event_loop_everything_is_counted_at_once() -> None:
    counted = Counted()
    counted.counters[0].labels("a").inc()
    assert counted.counters[0].labels("a")._value.get() == 1


async def test_a_scrape_holds_all_that_this_process_has_counted() -> None:
    instruments = Instruments()
    instruments.requests.labels("/classify", "200").inc()
    assert b'chapterhouse_requests_total{code="200",endpoint="/classify"} 1.0' in instruments.exposition(None)


def test_a_counter_that_would_fall_is_refused() -> None:
    counter = TalliedCounter("c", "Counts.", registry=None, tally=Tally())
    with pytest.raises(ValueError, match="non-negative"):
        counter.inc(-1)


def test_what_of_the_client_is_relied_on_is_there() -> None:
    counter = Counter("c", "Counts.", ["of"], registry=None)
    child = counter.labels("a")
    assert counter._metrics == {("a",): child}
    assert isinstance(counter._kwargs, dict)
    histogram = Histogram("h", "Lies.", buckets=(1, 2), registry=None)
    assert histogram._upper_bounds == [1, 2, float("inf")]
    assert len(histogram._buckets) == 3
    histogram._buckets[1].inc(2)
    histogram._sum.inc(3)
    [metric] = histogram.collect()
    assert [sample.value for sample in metric.samples if sample.name in ("h_count", "h_sum")] == [2, 3]
