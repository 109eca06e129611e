"""Earlier evaluations, as later ones need them: as a baseline, and so that nothing is computed twice."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from service.errors import EvaluationNotFound, InvalidRequest, NotComparable
from service.evaluation.queue.jobs import JobKind, Jobs, Owner
from service.evaluation.report.schema import Report
from service.written import read_whole

FORMAT = 2
"""Of what goes into `sha256_of`: raised whenever an input is written otherwise, so that no older digest equals it."""


class History(Protocol):
    """What is known of earlier evaluations."""

    def report(self, evaluation_id: str) -> Report:
        """The report of a finished evaluation. Raises EvaluationNotFound, NotComparable."""
        ...

    def finished_like(self, inputs_sha256: str) -> Report | None:
        """The newest report whose numbers depend on the very same inputs."""
        ...

    def of(self, key: str | None) -> "History":
        """What of it an evaluation may meet that this key asked for."""
        ...


class NoHistory:
    """Nothing was evaluated before."""

    def report(self, evaluation_id: str) -> Report:
        """Raise EvaluationNotFound."""
        raise EvaluationNotFound(f"There is no evaluation {evaluation_id!r}: no earlier ones are known here.")

    def finished_like(self, inputs_sha256: str) -> Report | None:  # noqa: ARG002 - nothing is like it
        """None."""
        return None

    def of(self, key: str | None) -> "History":  # noqa: ARG002 - there are no keys here
        """All of it."""
        return self


class ReportFiles(NoHistory):
    """Reports as files that somebody kept: what `chapterhouse evaluate --json` printed. For the command line only."""

    def report(self, evaluation_id: str) -> Report:
        """The report in a file of this name. Raises EvaluationNotFound, InvalidRequest."""
        path = Path(evaluation_id)
        if not path.is_file():
            raise EvaluationNotFound(
                f"There is no file {evaluation_id!r}. Without a server, a baseline is a file with a report that --json "
                "printed."
            )
        try:
            return Report.model_validate_json(read_whole(path))
        except ValueError as error:  # of too much, or of what is no report
            raise InvalidRequest(f"{evaluation_id} does not hold a report.") from error


class JobHistory:
    """The evaluations of the database that one key asked for, or nobody's."""

    def __init__(self, jobs: Jobs, key: str | None = None) -> None:
        self._jobs = jobs
        self._owner = Owner(key)

    def of(self, key: str | None) -> "JobHistory":
        """Those of this key."""
        return JobHistory(self._jobs, key)

    def report(self, evaluation_id: str) -> Report:
        """The report of a finished evaluation. Raises EvaluationNotFound, NotComparable, DatabaseUnavailable."""
        job = self._jobs.get(evaluation_id, self._owner)
        if job.kind != JobKind.EVALUATION:
            raise NotComparable(f"{job.id} stored a reference; it has no report.")
        if job.status != "finished":
            raise NotComparable(f"The evaluation {job.id} is {job.status}; it has no report to compare with.")
        return Report.model_validate(job.report)

    def finished_like(self, inputs_sha256: str) -> Report | None:
        """The newest report whose numbers depend on the very same inputs. Raises DatabaseUnavailable."""
        found = self._jobs.finished_like(inputs_sha256, self._owner)
        return None if found is None else Report.model_validate(found)


def sha256_of(**inputs: object) -> str:
    """One sha256 for everything that the numbers of a report depend on: what has the same one is not computed again.

    The inputs can be written as JSON; the order of their names does not matter.
    """
    return sha256(json.dumps({"format": FORMAT, **inputs}, sort_keys=True, allow_nan=False).encode()).hexdigest()
