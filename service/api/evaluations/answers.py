"""One evaluation in the form that its caller asks for: JSON, Markdown, JUnit XML, or a page."""

import asyncio
from typing import Any

import orjson
from fastapi import Response

from service.api.access.pages import REPORT as REPORT_POLICY
from service.api.evaluations.progress import progress_of
from service.api.openapi import TEXT
from service.evaluation.figures.files import FigureFiles
from service.evaluation.queue.jobs import Job, JobKind
from service.evaluation.rendering.formats import FORMATS, HTML, JSON
from service.evaluation.rendering.html import render_state
from service.evaluation.report.schema import Report

REPORT: dict[str, Any] = {
    "model": Report,
    "content": {media_type: {} if media_type == JSON else TEXT for media_type in FORMATS},
    "description": "The report, in the form that `Accept` chooses.",
}
"""What the document says of a report."""
SECURITY = {"content-security-policy": REPORT_POLICY}


async def answer(
    job: Job, media_type: str, figure_files: FigureFiles, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The report in this form or, where there is none, the state of the evaluation, as a page or as JSON."""
    headers = {"vary": "accept", **(headers or {})}
    if media_type == HTML:
        headers |= SECURITY
    if job.status != "finished" or job.kind != JobKind.EVALUATION:
        state = progress_of(job)
        if media_type == HTML:
            return Response(render_state(state), status, headers, HTML)
        return Response(state.model_dump_json(), status, headers, JSON)
    if media_type == JSON:
        return Response(orjson.dumps(job.report), status, headers, JSON)
    return Response(await asyncio.to_thread(_render, job, media_type, figure_files), status, headers, media_type)


def _render(job: Job, media_type: str, figure_files: FigureFiles) -> str:
    figures = figure_files.load(job.id) if media_type == HTML else None
    return FORMATS[media_type](Report.model_validate(job.report), figures)
