"""docs/mode-collapse.md from the measurements: what was asked at a glance, then a section for each table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from experiments.collapse.correlation import CORRELATED
from experiments.collapse.published import PUBLISHED, SOURCES, reported_of
from experiments.collapse.record import Correlation, Coverage, Digits, Measurement, Record, Spread, Stack
from experiments.collapse.sentences import answers, asked_models, beside_plain, overview, unasked, verdict, warned
from experiments.collapse.tables import MNIST, STACKED, TABLES, Table, name_of
from experiments.collapse.tuning import read_tried, tell
from service.store import Model

HEAD = """# Mode collapse, measured

How much of its data every GAN of chapter 7 keeps. Written by `python -m experiments.collapse` from the cards of the
models, the histories of their trainings and 10,000 images of each generator of digits; what was measured lies in
[mode-collapse.jsonl](mode-collapse.jsonl), and `--render` writes this page from it alone; `--sheets` draws its
pictures.

**Read the numbers as what they are.** Nets and recipes are this project's own and small: generators of points have two
hidden layers of 128 and learn for 25,000 iterations where PacGAN's authors took about 400,000, on four layers of 400;
images come from one small convolutional body. `full` is a recipe as it is meant, `reduced` a shorter one for a machine
without an accelerator. Minutes are a processor's; of a training that stood still in between they are those of a part of
it, scaled to the whole. Published figures are in the column of that name, as their papers print them. Behind them are
other nets, data and tuning, which change such figures tenfold: **figures of different sources compare only within one
table of one paper**, and those beside the rows here show what others met with, not what a row should be.
"""
CORRELATION = """## Whether a loss tells how good the samples are

Spearman's rank correlation of a loss (its mean over the iterations between two measurements) with the FID that the
training measured, over one training on MNIST. Near +1 the loss falls as the samples get better; near −1 it rises
meanwhile; near 0 it says nothing. A number counts from p < 0.01 on, which flatters it: moments of one training that
follow each other are alike. A critic minimises minus its estimate of the Wasserstein distance, so that its own loss
rises where the estimate falls; it is the estimate that the paper draws.
"""
TUNING = """## How recipes of points were chosen

What was tried on seed 101, which stands in no table above (`python -m experiments.collapse.tuning` does it), and what
came of it: means over trainings side by side. All systems but the two Wasserstein GANs, which have their papers'
optimisers, began with the same recipe (Adam, β₁ = 0.5, rates of 10⁻³; of all of them the rates fall to nothing in the
second half, and an average of the weights is kept), and only for those was something else sought that lost modes or
good samples with it. Trainings of fewer than 25,000 iterations tell whether it becomes better, not how good it is.
A change that helped and is not in the recipe of its row above waits for the training that its weights need.
"""
CRITIC, PLAIN = ("wgan-mnist", "distance"), "gan-mnist"
SENTENCE = (
    "The loss of a WGAN falls as its samples get better where that of a GAN says nothing (Arjovsky et al. 2017, section"
    " 4.2)"
)
CERTAIN = 0.01
FALLS, RISES, SAYS_NOTHING = (
    "Falls as the samples get better",
    "Rises as the samples get better",
    "Says nothing of the samples",
)


def render(store: Path, record: Record) -> str:
    """The whole page."""
    models = {table.key: table.generators(store) for table in TABLES}
    parts = [
        HEAD,
        "## At a glance\n",
        *_lines(_glance(models, record)),
        *(part for table in TABLES for part in _section(table, models[table.key], record)),
        CORRELATION,
        *_lines(_correlations(models[MNIST.key], record)),
        *_lines(f"- {sentence}" for sentence in (*_goes_with(models[MNIST.key], record), _borne_out(record))),
        TUNING,
        *_lines(tell(read_tried())),
        "## Published figures\n",
        *_lines(f"- [{key}] {source}." for key, source in SOURCES.items()),
    ]
    return "\n".join(parts)


def _lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines that belong together, with what separates them from the next."""
    yield "\n".join(lines) + "\n"


def _glance(models: Mapping[str, Sequence[Model]], record: Record) -> Iterator[str]:
    yield "| data | asked of | verdict |"
    yield "|---|---|---|"
    for table in TABLES:
        for model in asked_models(table, models[table.key]):
            yield f"| {table.title} | {name_of(model)} | {verdict(table, record.get(model.id))} |"


def _section(table: Table, models: Sequence[Model], record: Record) -> Iterator[str]:
    yield f"## {table.title}\n"
    yield f"{table.protocol}\n"
    rows = _digit_rows(models, record) if table is MNIST else _coverage_rows(table, models, record)
    yield from _lines(rows)
    yield f"![Samples of every system beside real ones: {table.title}](mode-collapse/{table.key}.png)\n"
    yield from (f"{words}\n" for words in (table.by_eye, table.tried) if words)
    sentences = [
        *overview(table, models, record),
        *beside_plain(table, models, record),
        *answers(table, models, record, read_tried()),
        *unasked(table, models, record, read_tried()),
        *warned(models, record),
    ]
    yield from _lines(f"- {sentence}" for sentence in sentences)


def _coverage_rows(table: Table, models: Sequence[Model], record: Record) -> Iterator[str]:
    """Measured rows, then those that only papers have."""
    good = table is not STACKED
    reported = reported_of(PUBLISHED[table.key])
    names = [
        "system",
        f"modes of {table.modes:,}",
        *(["good samples"] if good else []),
        "reverse KL",
        *([] if good else ["confident (test images)"]),
        "recipe",
        "seeds",
        *(["each: modes (good)"] if good else []),
    ]
    figures = "modes / good samples / reverse KL" if good else "modes / KL"
    yield f"| {' | '.join(names)} | published: {figures} |"
    yield f"|{'---|' * (len(names) + 1)}"
    for model in models:
        found = record.get(model.id)
        cells = coverage_cells(found, model.manifest.training.get("stack", 1), good=good)
        yield _row(name_of(model), *cells, reported.pop(name_of(model), "–"))
    for system, figure in reported.items():
        yield _row(system, *["–"] * 3, "only published", "–", *["–"] * good, figure)


def coverage_cells(found: Measurement | None, meant: int, *, good: bool) -> list[str]:
    """Modes, good samples, reverse KL, what made them, over how many seeds, and each seed's own numbers.

    Of three digits in one image the share that is named with confidence, in the place of good samples behind the KL.
    """
    if found is None or found.coverage is None:
        return [*["–"] * 3, "not trained yet", "–", *["–"] * good]
    coverage = found.coverage
    share = [_spread(coverage.good, 1, 100, " %")] if good else []
    each = [_each(coverage)] if good else []
    return [
        _spread(coverage.modes, 1),
        *share,
        _spread(coverage.reverse_kl, 2),
        *([] if good else [_confident(found.stack)]),
        _made(found),
        f"{coverage.seeds}" if coverage.seeds == meant else f"{coverage.seeds} of {meant}",
        *each,
    ]


def _confident(stack: Stack | None) -> str:
    return "–" if stack is None else f"{100 * stack.confident:.1f} % ({100 * stack.confident_real:.1f} %)"


def _each(coverage: Coverage) -> str:
    """Every seed's own numbers; trainings of long ago kept only their mean."""
    if coverage.good is None or coverage.modes.each is None or coverage.good.each is None:
        return "not kept"
    pairs = zip(coverage.modes.each, coverage.good.each, strict=True)
    return ", ".join(f"{modes:.0f} ({100 * good:.0f} %)" for modes, good in pairs)


def _digit_rows(models: Sequence[Model], record: Record) -> Iterator[str]:
    reported = reported_of(PUBLISHED[MNIST.key])
    yield (
        "| system | rarest digit | commonest | confident (test images) | 1-NN real | 1-NN generated | FID (floor)"
        " | recipe | seeds | published: FID on Inception's features, another scale |"
    )
    yield f"|{'---|' * 10}"
    for model in models:
        found = record.get(model.id)
        cells = digit_cells(found.digits) if found and found.digits else ["–"] * 6
        made = (_made(found), "1") if found else ("not trained yet", "–")
        yield _row(name_of(model), *cells, *made, reported.pop(name_of(model), "–"))
    for system, figure in reported.items():
        yield _row(system, *["–"] * 6, "only published", "–", figure)


def digit_cells(digits: Digits) -> list[str]:
    """Rarest and commonest digit, confidence, 1-NN on both halves, and FID beside its floor."""
    real = digits.confident_real
    return [
        *(f"{100 * share:.1f} % ({digits.shares.index(share)})" for share in (min(digits.shares), max(digits.shares))),
        f"{100 * digits.confident:.1f} %" + ("" if real is None else f" ({100 * real:.1f} %)"),
        f"{digits.one_nn_real:.3f}",
        f"{digits.one_nn_generated:.3f}",
        f"{digits.fid:.2f} ({digits.floor:.2f})",
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _made(found: Measurement) -> str:
    duration = f"{found.seconds / 60:.0f} min" if found.seconds >= 90 else f"{found.seconds:.0f} s"
    return f"{found.form}, {found.told_iterations}, {duration} on {found.hardware}"


def _spread(spread: Spread | None, digits: int, times: float = 1, unit: str = "") -> str:
    if spread is None:
        return "–"
    if spread.deviation is None:
        whole = spread.mean == round(spread.mean) and times == 1
        return f"{times * spread.mean:.{0 if whole else digits}f}{unit}"
    return f"{times * spread.mean:.{digits}f} ± {times * spread.deviation:.{digits}f}{unit}"


def _correlations(models: Sequence[Model], record: Record) -> Iterator[str]:
    known = {model.id: found.correlation for model in models if (found := record.get(model.id)) and found.correlation}
    columns = [name for name in CORRELATED if any(name in correlation.of for correlation in known.values())]
    yield _row("system", "measurements", *(CORRELATED[name] for name in columns))
    yield f"|{'---|' * (len(columns) + 2)}"
    for model in models:
        correlation = known.get(model.id)
        if correlation is None:
            moments = "no history of its training is here" if model.id in record else "not trained yet"
            yield _row(name_of(model), moments, *["–"] * len(columns))
        else:
            cells = (_rho(correlation.of.get(name)) for name in columns)
            yield _row(name_of(model), f"{correlation.moments}", *cells)


def _rho(found: Correlation | None) -> str:
    return "–" if found is None else f"{found.rho:+.2f}"


def _goes_with(models: Sequence[Model], record: Record) -> Iterator[str]:
    """Which losses of which systems go with FID, which against it, and which with nothing."""
    found = [
        (f"{name_of(model)}'s {CORRELATED[number]} ({one.rho:+.2f})", _direction(one))
        for model in models
        for number, one in _correlation(record, model.id).items()
    ]
    for direction in (FALLS, RISES, SAYS_NOTHING):
        of_it = [words for words, way in found if way == direction]
        if of_it:
            yield f"{direction}: {', '.join(of_it)}."


def _direction(found: Correlation) -> str:
    if found.p >= CERTAIN:
        return SAYS_NOTHING
    return FALLS if found.rho > 0 else RISES


def _borne_out(record: Record) -> str:
    """Arjovsky et al. put to the test: a critic's estimate falls with FID, no loss of a GAN does."""
    model_id, number = CRITIC
    estimate, plain = _correlation(record, model_id).get(number), _correlation(record, PLAIN)
    if estimate is None or not plain:
        lacking = " and ".join(name for name, there in ((model_id, estimate), (PLAIN, plain)) if not there)
        return f"{SENTENCE}: **not measured**; there is no history of {lacking}."
    told = _direction(estimate) == FALLS and FALLS not in map(_direction, plain.values())
    return f"{SENTENCE}: {'reproduced' if told else '**not reproduced**'}."


def _correlation(record: Record, model_id: str) -> dict[str, Correlation]:
    found = record.get(model_id)
    return dict(found.correlation.of) if found and found.correlation else {}
