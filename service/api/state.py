"""What the routes share, and how they get it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

from fastapi import Request

from service.api.access.guard import Guard
from service.api.budgets import Refusals
from service.api.collecting import Collecting
from service.api.database import BUSY_S, DatabaseThreads
from service.api.disk import UploadRoom
from service.api.given import given
from service.api.readers import Readers
from service.api.streams import EventStreams
from service.api.watching import Watcher
from service.evaluation.figures.files import FigureFiles
from service.evaluation.pipeline import Bench
from service.evaluation.queue.jobs import Jobs
from service.evaluation.queue.uploads import Uploads
from service.evaluation.references import References
from service.evaluation.report.history import JobHistory
from service.evaluation.shared_references import references_of
from service.runtime.calls import EngineControl, Engines
from service.settings import Settings
from service.storage.opening import open_storage
from service.store import ModelStore
from service.telemetry.instruments import Instruments


@dataclass(frozen=True, slots=True)
class State:
    """One front's view of the service."""

    settings: Settings
    store: ModelStore
    engines: Engines
    control: EngineControl
    instruments: Instruments
    jobs: Jobs
    uploads: Uploads
    upload_room: UploadRoom
    references: References
    figure_files: FigureFiles
    guard: Guard
    database: DatabaseThreads
    watcher: Watcher
    streams: EventStreams
    readers: Readers
    refusals: Refusals
    """Whom evaluations have just been refused for want of room."""
    collecting: Collecting

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        store: ModelStore,
        engines: Engines,
        control: EngineControl,
        metrics_dir: Path | None = None,
        limits_dir: Path | None = None,
        local_token: str = "",
        instruments: Instruments | None = None,
    ) -> Self:
        """The state over these engines, everything else where the settings say.

        `limits_dir` is where the fronts of a service count together; `local_token` is this machine's own;
        `instruments` are those that a scrape is answered with, where they are not this process's alone.
        """
        instruments, jobs = instruments or Instruments(), Jobs.of(settings, busy_s=BUSY_S, kept=1)
        instruments.begin_at_zero(instruments.rejected, "evaluations_full")
        storage = open_storage(settings)
        uploads = Uploads(settings.state, storage)
        database = DatabaseThreads.of(jobs, instruments.database_answers.set)
        return cls(
            settings,
            store,
            engines,
            control,
            instruments,
            jobs,
            uploads,
            UploadRoom(uploads, settings),
            references_of(settings, storage),
            FigureFiles(storage),
            Guard.of(settings, local_token=local_token, limits_dir=limits_dir),
            database,
            Watcher(jobs, database),
            EventStreams(settings, instruments),
            Readers(settings),
            Refusals(jobs.changes.listen),
            Collecting(instruments, metrics_dir),
        )

    @property
    def bench(self) -> Bench:
        """What evaluations are made with."""
        return Bench(self.settings, self.store, self.engines, self.references, JobHistory(self.jobs))

    def bench_of(self, key: str | None) -> Bench:
        """The same, with no other history than that of one key."""
        return replace(self.bench, history=JobHistory(self.jobs, key))


def state_of(request: Request) -> State:
    """The state of the application that answers this request."""
    state: State = request.app.state.shared
    return state


StateDep = Annotated[State, given(state_of)]
