"""How many engines a cluster wants."""

from types import SimpleNamespace

import pytest

from service.remote.scaling import ROWS, QueuedRows


@pytest.mark.parametrize(
    ("rows", "engines"), [([], 1), ([0, 0], 1), ([64], 1), ([65], 2), ([100, 100], 4), ([10_000], 8)]
)
def test_there_is_an_engine_for_every_so_many_rows_within_the_bounds(rows: list[float], engines: int) -> None:
    known = SimpleNamespace(
        aggregated_metrics={ROWS: dict(enumerate(rows))},
        capacity_adjusted_min_replicas=1,
        capacity_adjusted_max_replicas=8,
    )
    assert QueuedRows(64.0)(known) == (engines, {})


def test_before_any_engine_has_told_anything_there_are_as_few_as_may_be() -> None:
    known = SimpleNamespace(aggregated_metrics=None, capacity_adjusted_min_replicas=2, capacity_adjusted_max_replicas=8)
    assert QueuedRows()(known) == (2, {})
