"""What is done beside the evaluations: a sign of life, what lost services left, and what is not to be kept."""

import asyncio
import logging
import time

from service.errors import DatabaseUnavailable, StorageUnavailable
from service.evaluation.queue.homes import Homes
from service.evaluation.queue.leading import Lead
from service.evaluation.queue.workers import Workers
from service.evaluation.retention import Retention
from service.evaluation.threads import Stop, in_thread

log = logging.getLogger(__name__)

ROUND_S = 15.0
SWEEP_S = 300.0


class Tidying:
    """The rounds of an evaluator: one of a state directory makes them, and one of all cares for what is shared."""

    def __init__(self, workers: Workers, homes: Homes, lead: Lead, retention: Retention) -> None:
        self._workers = workers
        self._homes = homes
        self._lead = lead
        self._retention = retention
        self._swept = -SWEEP_S

    async def run(self) -> None:
        """Make rounds for ever."""
        try:
            while True:
                try:
                    if self._workers.tidies_up():
                        await in_thread(self._round)
                except (DatabaseUnavailable, StorageUnavailable) as error:
                    log.info("nothing is swept now: %s", error.detail)
                except Exception:
                    log.exception("a round failed")
                await asyncio.sleep(ROUND_S)
        finally:
            self._workers.stop_tidying()
            await asyncio.to_thread(self._lead.resign)

    def _round(self, stop: Stop) -> None:
        self._homes.beat()
        leads = self._lead.is_ours()
        if leads:
            self._homes.look()
        if time.monotonic() - self._swept > SWEEP_S:
            self._swept = time.monotonic()
            self._retention.sweep(stop, leads=leads)
