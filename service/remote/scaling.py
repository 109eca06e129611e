"""How many engines a cluster wants: as many as the rows that wait give each a few batches."""

import math
from typing import Any

ROWS = "queued_rows"
"""What every engine tells the cluster of itself."""


class QueuedRows:
    """Ray Serve's policy of a deployment, called with what it knows; it keeps the least and the most by itself."""

    def __init__(self, rows_per_engine: float = 64.0) -> None:
        self._rows_per_engine = rows_per_engine

    def __call__(self, known: Any) -> tuple[float, dict[str, Any]]:
        """How many engines there should be, and nothing to remember."""
        waiting = (known.aggregated_metrics or {}).get(ROWS, {})
        wanted = math.ceil(sum(waiting.values()) / self._rows_per_engine)
        lowest, highest = known.capacity_adjusted_min_replicas, known.capacity_adjusted_max_replicas
        return float(min(max(wanted, lowest), highest)), {}
