"""docs/thresholds.md from the measurements."""

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.thresholds.record import ANY, FreshSets, Record, ReferenceFloors
from service.evaluation.report.baseline import ERRORS
from service.evaluation.store_reference import FLOOR_SETS, FLOOR_SIZES

HEAD = f"""# Thresholds: what real samples score, and how far one generator's scores scatter

Written by `python -m experiments.thresholds` from what it measures; the measurements lie in
[thresholds.json](thresholds.json), and `--render` writes this page from them alone.

A threshold lies between two numbers: what real samples score at the size of the evaluation, which no generator can be
asked to beat, and what a generator scores that is not wanted. The first stands in each report as `noise_floor`, with
its `spread` from one set of real samples to the next, and `times_floor` says how many times that a score is. So measure
a generator that is good enough and one that is not, with as many samples as will be sent each time, and choose a limit
between the two and at least three spreads above the floor.

Where there is no limit to be chosen but only a generator that must not get worse, `baseline` compares with an earlier
evaluation of it, and needs no threshold at all.

## Floors of the stored references

A stored reference of test images keeps what training images score against it, measured once when it is made: up to
{FLOOR_SETS} disjoint sets each of {", ".join(f"{size:,}" for size in FLOOR_SIZES[:-1])} and {FLOOR_SIZES[-1]:,}, and a
law a + b / n through them. *floor*: the FID that a report names by this law, ± its spread. *directly*: other sets of
training images, measured as if a generator had drawn them: mean ± standard deviation, and how many sets.
"""
PARTS = """
The extractors have learned from the training images, which might set these apart from images that they have not seen.
So beside it the mean FID between disjoint parts of the test images, which no extractor has seen. Two parts of so many
scatter as much as that number of images does beside the whole reference, whose floor stands in the last column.

"""
FRESH = """
## A generator against itself

{sets} sets of {samples:,} samples of `{model}`, each of its own seed, with the usual metrics against `{reference}`:
each set is taken for the baseline of each other, {pairs:,} comparisons. *scores*: mean and standard deviation over the
sets. *error told*: what the reports say that this deviation is, the reference held fixed (root mean square). *without*:
sets that have no error, because a few samples far out make their score; that of the other set counts for both then.
*worse*: how often the comparison is red, ± its own standard error (the sets left out in turn, because the comparisons
share them). All metrics together may be red in {share:.0f} % of cases.
"""


def render(record: Record) -> str:
    """The whole page."""
    parts = [HEAD, _table(_floors(record.floors)), PARTS, _table(_parts(record.floors))]
    if record.fresh is not None:
        parts += [_fresh(record.fresh), "\n", _table(_worse(record.fresh)), "\n", _verdict(record.fresh)]
    return "".join(["\n".join(parts[:2]), *parts[2:]])


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"


def _floors(floors: Sequence[ReferenceFloors]) -> Iterator[Sequence[str]]:
    yield "reference", "images", "floor", "directly", "sets"
    for found in floors:
        for one in found.fid:
            floor = f"{one.by_law:.3f} ± {one.spread_by_law:.3f}"
            yield (
                f"`{found.reference}`",
                f"{one.count:,}",
                floor,
                f"{one.mean:.3f} ± {one.deviation:.3f}",
                f"{one.sets}",
            )


def _parts(floors: Sequence[ReferenceFloors]) -> Iterator[Sequence[str]]:
    yield "reference", "test images a part", "FID of two parts", "as much as", "floor of as many"
    for found in floors:
        measured = f"{found.part:,}", f"{found.between_parts:.3f}"
        yield f"`{found.reference}`", *measured, f"{found.worth:,} images", f"{found.floor_of_worth:.3f}"


def _fresh(fresh: FreshSets) -> str:
    return FRESH.format(
        sets=fresh.sets,
        samples=fresh.samples,
        model=fresh.model,
        reference=fresh.reference,
        pairs=fresh.sets * (fresh.sets - 1),
        share=100 * ERRORS,
    )


def _worse(fresh: FreshSets) -> Iterator[Sequence[str]]:
    yield "metric", "scores", "error told", "without", "worse"
    yield "**all together**", "", "", "", f"**{_share(fresh, ANY)}**"
    for name, scores in fresh.scores.items():
        told = [error for error in scores.errors if error is not None]
        error = f"{np.sqrt(np.square(told).mean()):.3g}" if told else "–"
        spread = f"{np.mean(scores.values):.4g} ± {np.std(scores.values, ddof=1):.3g}"
        yield f"`{name}`", spread, error, f"{len(scores.errors) - len(told)}", _share(fresh, name)


def _share(fresh: FreshSets, name: str) -> str:
    return f"{100 * fresh.worse[name].share:.2f} ± {100 * fresh.worse[name].error:.2f} %"


def _verdict(fresh: FreshSets) -> str:
    found = fresh.worse[ANY]
    within = found.share - found.error <= ERRORS
    said = "at most what was promised, within its error" if within else "more than was promised"
    return f"{100 * found.share:.2f} % is {said}; {100 * found.undecided:.2f} % of the verdicts are inconclusive.\n"
