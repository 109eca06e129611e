"""The forms that a report can be asked for in, by their media types; the first is the one when nobody asks."""

from collections.abc import Callable

from service.evaluation.figures.data import Figures
from service.evaluation.rendering.html import render_html
from service.evaluation.rendering.junit import render_junit
from service.evaluation.rendering.markdown import render_markdown
from service.evaluation.report.schema import Report

Renderer = Callable[[Report, Figures | None], str]

JSON, HTML = "application/json", "text/html"
FORMATS: dict[str, Renderer] = {
    JSON: lambda report, _: report.model_dump_json(),
    "text/markdown": render_markdown,
    HTML: render_html,
    "application/xml": render_junit,
    "application/junit+xml": render_junit,
}
