"""What is kept of evaluations that are over, and for how long.

Rows, and what lies in a storage that is shared, are one service's to remove; what lies on a disk is removed there.
"""

import time

from service.evaluation.figures.files import FigureFiles
from service.evaluation.queue.jobs import OPEN, Ended, Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.references import References
from service.evaluation.threads import Stop
from service.settings import Settings

DAY_S = 86400.0


class Retention:
    """Removes evaluations that are too old or too many, and what dead processes left."""

    def __init__(
        self, settings: Settings, jobs: Jobs, uploads: Uploads, figure_files: FigureFiles, references: References
    ) -> None:
        self._settings = settings
        self._references = references
        self._jobs = jobs
        self._uploads = uploads
        self._figure_files = figure_files

    def sweep(self, stop: Stop | None = None, *, leads: bool = True) -> None:
        """Remove what is not to be kept; without `leads`, only from this disk.

        Raises DatabaseUnavailable, StorageUnavailable and Stopped.
        """
        if leads:
            self._forget()
        if leads or not self._figure_files.is_shared:
            self._figure_files.sweep(self._jobs.ids())
        wanted = self._jobs.ids(*OPEN)
        self._uploads.sweep(wanted, stop)
        if leads:
            self._uploads.sweep_shared(wanted, stop)
        self._references.sweep()

    def _forget(self) -> None:
        """Remove the evaluations that are too old or too many."""
        over = self._jobs.over()
        kept = {ended.id for ended in self._kept(over)}
        gone = [ended.id for ended in over if ended.id not in kept]
        if gone:
            self._jobs.forget(gone)
        for job_id in gone:
            self._figure_files.discard(job_id)

    def _kept(self, over: list[Ended]) -> list[Ended]:
        """Those that ended last, until they are too old or take too much together."""
        days, left = self._settings.reports_keep_days, self._settings.reports_disk_bytes
        oldest = time.time() - days * DAY_S if days else 0.0
        kept = []
        for ended in over:
            figures = ended.figures_bytes
            left -= ended.size_bytes + (self._figure_files.size_of(ended.id) if figures is None else figures)
            if left < 0 or ended.ended < oldest:
                break
            kept.append(ended)
        return kept
