"""What is kept of evaluations that are over, and for how long."""

import time

from service.evaluation.figures.files import FigureFiles
from service.evaluation.queue.jobs import Ended, Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.references import References
from service.evaluation.threads import Stop
from service.settings import Settings

DAY_S = 86400.0


class Retention:
    """Removes evaluations that are too old or too many, and what dead processes left."""

    def __init__(self, settings: Settings, jobs: Jobs, uploads: Uploads, figure_files: FigureFiles) -> None:
        self._settings = settings
        self._jobs = jobs
        self._uploads = uploads
        self._figure_files = figure_files

    def sweep(self, stop: Stop | None = None) -> None:
        """Remove what is not to be kept. Raises DatabaseUnavailable and Stopped."""
        over = self._jobs.over()
        kept = {ended.id for ended in self._kept(over)}
        gone = [ended.id for ended in over if ended.id not in kept]
        if gone:
            self._jobs.forget(gone)
        for job_id in gone:
            self._figure_files.discard(job_id)
        self._figure_files.sweep(self._jobs.ids())
        self._uploads.sweep(self._jobs.ids("queued", "running"), stop)
        References.of(self._settings).sweep()

    def _kept(self, over: list[Ended]) -> list[Ended]:
        """Those that ended last, until they are too old or take too much together."""
        days, left = self._settings.reports_keep_days, self._settings.reports_disk_bytes
        oldest = time.time() - days * DAY_S if days else 0.0
        kept = []
        for ended in over:
            left -= ended.size_bytes + self._figure_files.size_of(ended.id)
            if left < 0 or ended.ended < oldest:
                break
            kept.append(ended)
        return kept
