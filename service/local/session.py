"""The evaluations that were made in this process, as long as it remembers them."""

from collections import OrderedDict
from datetime import UTC, datetime

from service.errors import EvaluationNotFound
from service.evaluation.figures.data import Figures
from service.evaluation.report.history import ReportFiles
from service.evaluation.report.schema import Report
from service.schemas import EvaluationState

REMEMBERED = 1000


class Session(ReportFiles):
    """The last reports made here, beside those that lie in files: what a baseline may name."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Report, EvaluationState]] = OrderedDict()
        self._figures: tuple[str, Figures] = ("", Figures())

    def remember(self, report: Report, figures: Figures, *, began: datetime) -> None:
        """Keep a report, and its figures until the next one comes."""
        times = {"created": began.isoformat(timespec="milliseconds"), "ended": now().isoformat(timespec="milliseconds")}
        state = EvaluationState(id=report.id, kind="evaluation", status="finished", progress=1.0, problem=None, **times)
        self._made[report.id] = report, state
        self._figures = report.id, figures
        if len(self._made) > REMEMBERED:
            self._made.popitem(last=False)

    def report(self, evaluation_id: str) -> Report:
        """The report of this id, or in a file of this name. Raises EvaluationNotFound, InvalidRequest."""
        if evaluation_id in self._made:
            return self._made[evaluation_id][0]
        return super().report(evaluation_id)

    def figures(self, report: Report) -> Figures | None:
        """What can be shown beside a report, of the last one."""
        return self._figures[1] if self._figures[0] == report.id else None

    def states(self) -> list[EvaluationState]:
        """Where they stand, newest first: all are finished."""
        return [state for _, state in reversed(self._made.values())]

    def forget(self, evaluation_id: str) -> None:
        """Remove one. Raises EvaluationNotFound."""
        self.made(evaluation_id)
        del self._made[evaluation_id]

    def made(self, evaluation_id: str) -> tuple[Report, EvaluationState]:
        """One that was made here. Raises EvaluationNotFound."""
        if evaluation_id not in self._made:
            raise EvaluationNotFound(f"There is no evaluation {evaluation_id!r} that was made here.")
        return self._made[evaluation_id]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
