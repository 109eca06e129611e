"""docs/claims.md from the measurements: a table of all verdicts, then a section for each sentence."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean

from experiments.claims.claim import SEEDS, Claim, Comparison, Verdict, error_per_cent
from experiments.claims.counting import Count
from experiments.claims.devices import TITLE, Devices, glance
from experiments.claims.devices import section as devices_section
from experiments.claims.record import Record
from experiments.claims.trial import Measurement
from experiments.spreads import Difference, Spread

HEAD = """# What each idea is worth

Every sentence of chapters 4 and 5 that can be measured, with the measurement. Written by
`python -m experiments.claims --render` from the lines of [claims.jsonl](claims.jsonl), each of which is one training
with this project's own nets and training loop.

**Read the numbers as what they are.** The nets are narrow, the training sets are the first thousands of images of
CIFAR-10 (or MNIST, where it says so), the trainings a few epochs on one core. Errors are of the whole test set, mean ±
standard deviation over {seeds} seeds where a section says nothing else. Within a table only the named thing changes;
the recipe stays the same, so that a variant that would like another rate gets it only where the rates that were tried
stand below the table. A sentence counts as *reproduced* when the difference has the right sign and is at least twice
its standard error, as *not reproduced* when it is that far on the wrong side, and else as *too close to call*: that
says something about these small settings, and nothing against the papers' large ones.
"""


def render(claims: Sequence[Claim], counts: Sequence[Count], record: Record, devices: Devices | None = None) -> str:
    """The whole document."""
    parts = [
        HEAD.format(seeds=_in_words(SEEDS)),
        "## At a glance\n",
        "\n".join(_summary(claims, record, devices)) + "\n",
        "## Counted\n\nAt the papers' full size, exactly.\n",
        "\n".join(_counted(counts)) + "\n",
        "## Measured\n",
        *(_section(claim, record) for claim in claims),
        devices_section(devices),
    ]
    return "\n".join(parts)


def _in_words(count: int) -> str:
    return {3: "three", 4: "four", 5: "five"}.get(count, str(count))


def _summary(claims: Iterable[Claim], record: Record, devices: Devices | None) -> Iterator[str]:
    yield "| idea | what was compared | measured | verdict |"
    yield "|---|---|---|---|"
    for claim in claims:
        found = claim.found(record)
        title = _linked(claim.title)
        for comparison in claim.comparisons:
            cells = (title, _compared(comparison), both(comparison, found), _told(comparison.judge(found)))
            yield f"| {' | '.join(cells)} |"
            title = ""
    if devices is not None:
        title = _linked(TITLE)
        for compared, measured, verdict in glance(devices):
            yield f"| {title} | {compared} | {measured} | {_told(verdict)} |"
            title = ""


def _linked(title: str) -> str:
    return f"[{title}](#{anchor(title)})"


def anchor(title: str) -> str:
    """The name that a heading is linked by: letters and digits, lines for spaces."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


def _compared(comparison: Comparison) -> str:
    words = f"{comparison.this} against {comparison.that}"
    return words if comparison.allowed is None else f"{words}: at most {comparison.allowed} points worse"


def both(comparison: Comparison, found: Mapping[str, Sequence[Measurement]]) -> str:
    """What was measured of one and the other."""
    sides = [[comparison.of(one) for one in found[name]] for name in (comparison.this, comparison.that)]
    if not all(sides):
        return "–"
    means = (mean(values) for values in sides)
    return f"{' : '.join('–' if math.isinf(one) else f'{one:.1f}' for one in means)} {comparison.unit}"


def _told(verdict: Verdict) -> str:
    return f"**{verdict}**" if verdict == "not reproduced" else verdict


def _counted(counts: Iterable[Count]) -> Iterator[str]:
    yield "| sentence | counted | verdict |"
    yield "|---|---|---|"
    for count in counts:
        verdict = count.verdict if count.verdict == "reproduced" else f"**{count.verdict}**"
        yield f"| {count.sentence} | {count.counted} | {verdict} |"


def _section(claim: Claim, record: Record) -> str:
    found = claim.found(record)
    lines = [
        f"### {claim.title}\n",
        f"> {claim.sentence}\n",
        f"{claim.done}\n",
        *_table(claim, found),
        "",
        *_tuned(claim, record),
        *(f"- {_sentence(comparison, found)}" for comparison in claim.comparisons),
    ]
    if claim.remark:
        lines += ["", claim.remark]
    return "\n".join(lines) + "\n"


def _table(claim: Claim, found: Mapping[str, Sequence[Measurement]]) -> Iterator[str]:
    further = "".join(f" {name} |" for name in claim.columns)
    yield f"| variant | parameters | multiply-accumulates | test error, % | training error, % |{further}"
    yield f"|---|---|---|---|---|{'---|' * len(claim.columns)}"
    for name, trial in claim.rows(0).items():
        parameters, macs = trial.size()
        measured = found[name]
        cells = [
            _spread([error_per_cent(one) for one in measured]),
            _spread([100 * one.training_error for one in measured]),
            *(_spread([column(one) for one in measured], digits=1) for column in claim.columns.values()),
        ]
        yield f"| {name} | {parameters:,} | {macs:,} | {' | '.join(cells)} |"


def _tuned(claim: Claim, record: Record) -> Iterator[str]:
    """The rates that were tried, and the training error with each."""
    found = {name: record.tried(trial) for name, trial in claim.tuning.items()}
    words = [f"{name}: {100 * one.training_error:.1f} %" for name, one in found.items() if one is not None]
    if words:
        yield f"- Training errors of what was tried on another seed: {'; '.join(words)}."


def _spread(values: list[float], digits: int = 2) -> str:
    if not values:
        return "–"
    if math.inf in values:
        return f"not reached by {values.count(math.inf)} of {len(values)}"
    spread = Spread.of(values)
    return f"{spread.mean:.{digits}f}" + (f" ± {spread.deviation:.{digits}f}" if len(values) > 1 else "")


def _sentence(comparison: Comparison, found: Mapping[str, list[Measurement]]) -> str:
    """The verdict in words."""
    verdict = comparison.judge(found)
    beginning = f"{_compared(comparison)}: **{verdict}**"
    if verdict == "not measured":
        return f"{beginning}."
    this, that = ([comparison.of(one) for one in found[name]] for name in (comparison.this, comparison.that))
    if math.inf in this or math.inf in that:
        return f"{beginning} ({_reached(this)} against {_reached(that)} trainings got there)."
    ours, theirs = Spread.of(this), Spread.of(that)
    if comparison.of is not error_per_cent:
        return f"{beginning} ({ours.mean:.1f} against {theirs.mean:.1f}: {theirs.mean / ours.mean:.1f} times)."
    apart = Difference.between(ours, theirs)
    return f"{beginning} ({apart.mean:+.2f} points, standard error {apart.error:.2f})."


def _reached(values: list[float]) -> str:
    return f"{len(values) - values.count(math.inf)} of {len(values)}"
