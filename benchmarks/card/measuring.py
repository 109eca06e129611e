"""Metrics on a card beside numpy's: seconds, and how far the scores lie apart."""

import numpy as np

from benchmarks.card.place import Place
from service.evaluation.measure import Measurement, choose_metrics, measure
from service.metrics.linear_algebra import one_thread
from service.metrics.metric import Side
from service.metrics.placement import Card
from service.metrics.samples import Rows
from service.metrics.torch_card import TorchCard

DIMENSIONS = 2048
ROWS = (4_000, 20_000)
SHORT_DIMENSIONS, SHORT_ROWS = 64, (500,)
METRICS = ("fid", "kid", "precision")
SLOW_ROWS = 10_000
"""Rows from which on numpy is not asked for comparison: it would take minutes."""


def run(place: Place) -> None:
    """Measure noise with more and more samples a side, each metric alone."""
    card = TorchCard(str(place.at), least=0)
    dimensions = SHORT_DIMENSIONS if place.rehearsal else DIMENSIONS
    with one_thread:
        for name in METRICS:  # what comes first opens libraries, which does not count
            _measured(name, [np.eye(50, dtype=np.float32)] * 2, card)
        for count in SHORT_ROWS if place.rehearsal else ROWS:
            rng = np.random.default_rng(0)
            sides = [rng.standard_normal((count, dimensions), np.float32) for _ in range(2)]
            for name in METRICS:
                there = _measured(name, sides, card)
                here = None if count >= SLOW_ROWS else _measured(name, sides, None)
                place.write(metric=name, samples=count, dimensions=dimensions, card_s=_seconds(name, there),
                            numpy_s=None if here is None else _seconds(name, here),
                            apart=None if here is None else _apart(name, here, there),
                            warnings=list(there.warnings))  # fmt: skip


def _measured(name: str, sides: list[Rows], card: Card | None) -> Measurement:
    generated, reference = (Side(rows) for rows in sides)
    return measure(generated, reference, choose_metrics([name]), intervals=False, card=card)


def _seconds(name: str, measured: Measurement) -> float:
    return round(measured.timing[name], 3)


def _apart(name: str, here: Measurement, there: Measurement) -> float:
    one, other = here.metrics[name].value, there.metrics[name].value
    return float(f"{abs(one - other) / max(abs(one), 1e-12):.2g}")
