"""Instruments that are counted often: in plain numbers, which Prometheus's shared ones get ten times a second at most.

A value that all processes share is a lock and a write into a mapped file, several microseconds each; a number of
one's own costs a tenth. Nothing runs while nothing is counted. One thread counts: that of the event loop.

These are prometheus-client's own instruments with another way of counting: `tests/telemetry/test_tally.py` names what
of them is no public interface and relied on here.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

FLUSH_S = 0.1


class Flushed(Protocol):
    """A series that has been counted."""

    def flush(self) -> None:
        """Give Prometheus what is new."""
        ...


class Tally:
    """The series of which something has been counted since they were last given to Prometheus."""

    def __init__(self) -> None:
        self._changed: list[Flushed] = []

    def note(self, series: Flushed) -> None:
        """Flush this series soon; at once where no event loop runs."""
        self._changed.append(series)
        if len(self._changed) == 1:
            try:
                asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Give Prometheus all that has been counted."""
        changed, self._changed = self._changed, []
        for series in changed:
            series.flush()


class Tallied(MetricWrapperBase):
    """An instrument, or one series of it, that is counted so."""

    def __init__(self, *given: Any, tally: Tally, **named: Any) -> None:
        super().__init__(*given, **named)
        self._kwargs["tally"] = tally  # its series are given it, too
        self._tally = tally

    def labels(self, *values: Any, **named: Any) -> Self:
        """One series; asking for one that exists costs little."""
        known: Any = self._metrics.get(values)
        return known or super().labels(*values, **named)

    def flush(self) -> None:
        """Give Prometheus what is new."""
        raise NotImplementedError

    def _child_samples(self) -> Iterable[Sample]:
        self.flush()
        return super()._child_samples()


class TalliedCounter(Tallied, Counter):
    """A counter."""

    _new = 0.0

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Count so many more."""
        if amount <= 0 or exemplar is not None:
            super().inc(amount, exemplar)
            return
        before, self._new = self._new, self._new + amount
        if not before:
            self._tally.note(self)

    def flush(self) -> None:
        """Give Prometheus what is new."""
        new, self._new = self._new, 0.0
        if new:
            super().inc(new)


class TalliedGauge(Tallied, Gauge):
    """A gauge that is set; the last value counts."""

    _last: float | None = None

    def set(self, value: float) -> None:
        """Let it be so much now."""
        before, self._last = self._last, value
        if before is None:
            self._tally.note(self)

    def flush(self) -> None:
        """Give Prometheus the last value."""
        last, self._last = self._last, None
        if last is not None:
            super().set(last)


class TalliedHistogram(Tallied, Histogram):
    """A histogram."""

    def __init__(self, *given: Any, tally: Tally, **named: Any) -> None:
        super().__init__(*given, tally=tally, **named)
        self._bounds = self._upper_bounds[:-1]
        self._counts = [0] * len(self._upper_bounds)
        self._total = 0.0
        self._noted = False

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count one value."""
        if exemplar is not None:
            super().observe(amount, exemplar)
            return
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._total += amount
        self._note()

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Count several values at once."""
        counts, bounds = self._counts, self._bounds
        for amount in amounts:
            counts[bisect_left(bounds, amount)] += 1
        self._total += sum(amounts)
        if amounts:
            self._note()

    def _note(self) -> None:
        if not self._noted:
            self._noted = True
            self._tally.note(self)

    def flush(self) -> None:
        """Give Prometheus the values that are new."""
        if not self._noted:
            return
        counts, self._counts = self._counts, [0] * len(self._counts)
        total, self._total, self._noted = self._total, 0.0, False
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)
