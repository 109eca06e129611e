"""A report as one HTML page that loads nothing: verdict, scores, drawings, samples, and where it all comes from."""

from html import escape
from pathlib import Path

from service.evaluation.figures.data import Figures, Pairs
from service.evaluation.rendering.pictures import pairs_of, typical_of
from service.evaluation.rendering.plots import CLASSES_SHOWN, draw_classes, draw_curve, draw_projection, draw_score
from service.evaluation.rendering.words import (
    details_of,
    direction_of,
    floor,
    floor_words,
    headline,
    interval,
    interval_words,
    metric_of,
    number,
    outcome,
    p_value_of,
    provenance,
    subject,
    title_of,
)
from service.evaluation.report.schema import Check, MetricEntry, Report
from service.schemas import EvaluationState

STYLE = Path(__file__).with_name("page.css")
REFRESH_S = 2


def render_html(report: Report, figures: Figures | None = None) -> str:
    """The page of a finished evaluation. What a client chose is text in it and nothing else."""
    shown = figures or Figures()
    kind = "measured" if report.verdict is None else "passed" if report.verdict.passed else "failed"
    parts = [
        f'<header class="{kind}"><p class="over">Chapterhouse · evaluation {escape(report.id)}</p>',
        f"<h1>{escape(headline(report))}</h1><p class='lead'>{escape(subject(report))}.</p>",
        f"{_checks(report)}</header>",
        _warnings(report),
        _scores(report),
        _drawings(report, shown),
        _samples(shown),
        _provenance(report),
    ]
    return _page(f"{headline(report)} · {report.id}", "".join(parts))


def render_state(state: EvaluationState) -> str:
    """The page of an evaluation without a report; while it is not over it asks again by itself."""
    waits = state.status in ("queued", "running")
    failure, detail = (state.problem["title"], state.problem["detail"]) if state.problem else ("", "")
    sentence = f"{state.progress:.0%} done" if waits else detail or "There is no report."
    title = {"queued": "Waiting", "running": "Measuring", "cancelled": "Cancelled"}.get(
        state.status, failure or state.status.capitalize()
    )
    body = (
        f'<header class="{"measured" if waits else "failed"}"><p class="over">Chapterhouse · evaluation '
        f"{escape(state.id)}</p><h1>{escape(title)}</h1><p class='lead'>{escape(sentence)}</p>"
        + (f'<progress max="1" value="{state.progress:.3f}"></progress>' if waits else "")
        + "</header>"
    )
    address = f"{REFRESH_S}; url=/evaluations/{escape(state.id, quote=True)}"
    refresh = f'<meta http-equiv="refresh" content="{address}">' if waits else ""
    return _page(f"{title} · {state.id}", body, refresh)


def _page(title: str, body: str, head: str = "") -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{head}<title>{escape(title)}</title>'
        f"<style>{STYLE.read_text('utf-8')}</style></head><body><main>{body}</main></body></html>\n"
    )


def _checks(report: Report) -> str:
    checks = report.verdict.checks if report.verdict else ()
    rows = "".join(
        f'<li class="{"holds" if check.passed else "fails"}"><code>{escape(check.threshold)}</code> '
        f"<span>{escape(outcome(check))}</span></li>"
        for check in checks
    )
    return f'<ul class="checks">{rows}</ul>' if rows else ""


def _warnings(report: Report) -> str:
    rows = "".join(f"<li>{escape(warning)}</li>" for warning in report.warnings)
    return f'<section class="warnings"><h2>To keep in mind</h2><ul>{rows}</ul></section>' if rows else ""


def _scores(report: Report) -> str:
    checks = report.verdict.checks if report.verdict else ()
    rows = "".join(
        _score(name, entry, [check for check in checks if metric_of(check) == name])
        for name, entry in report.metrics.items()
    )
    level = next((entry.level for entry in report.metrics.values()), 0.95)
    legend = (
        '<p class="legend"><span class="key value"></span>score <span class="key interval"></span>'
        f'{level:.0%} interval <span class="key floor"></span>real against real</p>'
    )
    return f"<section><h2>Scores</h2>{legend}{rows}</section>"


def _score(name: str, entry: MetricEntry, checks: list[Check]) -> str:
    p_value = p_value_of(entry)
    facts = [("interval", interval(entry)), ("real against real", floor(entry))]
    facts += [] if p_value is None else [("p-value", p_value)]
    listed = "".join(f"<div><dt>{words}</dt><dd>{escape(value)}</dd></div>" for words, value in facts)
    return (
        f'<article class="score"><div class="name"><h3>{escape(title_of(name))}</h3>'
        f"<p><code>{escape(name)}</code> {direction_of(name)}</p></div>"
        f'<p class="figure">{number(entry.value)}</p>'
        f'<div class="strip">{draw_score(title_of(name), entry, checks)}</div><dl class="facts">{listed}</dl>'
        f"<details><summary>How it was computed</summary>{_remarks(entry)}</details></article>"
    )


def _remarks(entry: MetricEntry) -> str:
    rows = [*details_of(entry), ("interval", interval_words(entry)), ("real against real", floor_words(entry))]
    return _definitions([(name, value) for name, value in rows if value])


def _definitions(rows: list[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows)}</dl>"


def _drawings(report: Report, shown: Figures) -> str:
    figures = []
    both = '<span class="key real"></span>real <span class="key made"></span>generated'
    if shown.projection is not None:
        words = "Where the colours part, the generator makes what the data do not hold, or misses what they do."
        figures.append(_figure("Features", words, draw_projection(shown.projection), both))
    if shown.classes is not None:
        several = len(shown.classes.labels) > CLASSES_SHOWN
        chosen = f" The {CLASSES_SHOWN} that differ most." if several else ""
        words = f"What {report.features.extractor} takes the samples for.{chosen}"
        figures.append(_figure("Classes", words, draw_classes(shown.classes), both))
    if shown.curve is not None:
        fid, count = report.metrics.get("fid"), report.generated.count
        whole = (count, fid.value) if fid is not None and count is not None else None
        words = "Smaller sets score higher: compare only scores of the same number of samples."
        key = '<span class="key value"></span>this evaluation <span class="key part"></span>random parts of it'
        figures.append(_figure("Fréchet distance by sample size", words, draw_curve(shown.curve, whole), key))
    if shown.pairs is not None:
        figures.append(_figure("Nearest to real samples", _search_words(shown.pairs), pairs_of(shown.pairs)))
    return f'<div class="drawings">{"".join(figures)}</div>' if figures else ""


def _figure(title: str, words: str, drawing: str, key: str = "") -> str:
    legend = f'<p class="legend">{key}</p>' if key else ""
    return f'<section class="drawing"><h2>{title}</h2><p class="legend">{escape(words)}</p>{legend}{drawing}</section>'


def _search_words(pairs: Pairs) -> str:
    made, real = (f"{count:,}" for count in pairs.searched)
    beside = "each beside that one" if len(pairs.real) else "the stored reference keeps no pictures to lay beside"
    of_made, of_real = (number(float(distance), 3) for distance in pairs.spacing)
    return (
        f"Of {made} generated samples those nearest to one of {real} real ones, {beside}; below, their distance. "
        f"The median of all is {of_made}; that of real samples to the nearest other one is {of_real}."
    )


def _samples(shown: Figures) -> str:
    if shown.typicality is None:
        return ""
    words = "Generated samples by the distance to their fifth nearest real one."
    pictures = typical_of(shown.typicality)
    return f'<section><h2>Typical and untypical</h2><p class="legend">{words}</p>{pictures}</section>'


def _provenance(report: Report) -> str:
    rows = _definitions(list(provenance(report)))
    return f'<section class="provenance"><h2>What the numbers depend on</h2>{rows}</section>'
