from pathlib import Path

import pytest
from evaluation.report.test_baseline import entry, report

from service.errors import EvaluationNotFound, InvalidRequest, NotComparable
from service.evaluation.queue.jobs import JobKind, Jobs
from service.evaluation.report.history import JobHistory, NoHistory, ReportFiles
from service.settings import Settings


def test_only_reports_of_finished_evaluations_are_a_baseline(service_settings: Settings) -> None:
    jobs = Jobs.of(service_settings)
    history = JobHistory(jobs)
    for name, kind in (("main", JobKind.EVALUATION), ("real", JobKind.REFERENCE), ("open", JobKind.EVALUATION)):
        jobs.accept(name, {}, kind)
    earlier = report(fid=entry(1.0)).model_copy(update={"inputs_sha256": "x"})
    for document in (earlier.model_dump(mode="json"), {"name": "real"}):
        job = jobs.claim("one")
        assert job is not None
        jobs.finish(job, "one", document)
    assert history.report("main") == earlier
    assert history.finished_like("x") == earlier
    assert history.finished_like("y") is None
    with pytest.raises(EvaluationNotFound):
        history.report("nobody")
    with pytest.raises(NotComparable, match="open is queued; it has no report"):
        history.report("open")
    with pytest.raises(NotComparable, match="stored a reference"):
        history.report("real")


def test_without_a_server_a_baseline_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "main.json"
    file.write_text(report(fid=entry(1.0)).model_dump_json())
    assert ReportFiles().report(str(file)) == report(fid=entry(1.0))
    assert ReportFiles().finished_like("x") is None
    with pytest.raises(EvaluationNotFound, match="no file 'main'"):
        ReportFiles().report("main")
    file.write_text("{}")
    with pytest.raises(InvalidRequest, match=r"main\.json does not hold a report"):
        ReportFiles().report(str(file))


def test_where_nothing_was_evaluated_before_nothing_is_known() -> None:
    with pytest.raises(EvaluationNotFound, match="no earlier ones"):
        NoHistory().report("main")
    assert NoHistory().finished_like("x") is None
