"""docs/collapse-advice.md from the measurements."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev

from experiments.advice.record import Measured
from experiments.advice.switches import MODES, PLAIN, SEEDS, SETTING, SWITCHES, Switch
from experiments.spreads import Difference, Spread

HEAD = """# Advice against collapse, measured

What the chapter advises against a training that collapses, one switch at a time, on a training that does collapse
without it. Written by `python -m experiments.advice`; what was measured lies in
[collapse-advice.jsonl](collapse-advice.jsonl), and `--render` writes this page from it alone.

**The setting.** {setting}
Its recipe is meant to be bad: [mode-collapse.md](mode-collapse.md) has good ones. Each row is that recipe with one
thing changed, all of them fields of `[training]`, {seeds} seeds each.

2,500 points of each generator: a mode is covered by one point within 3 σ of it, a point is good within 3 σ of its
nearest mode, and FID is the Fréchet distance of the points themselves, two coordinates each, from 100,000 of the
mixture (0 is ideal; 2,500 real points have less than 0.01). A seed is dead when fewer than one point in ten is good or
it ends with at most one mode. A difference counts from two standard errors on, and smaller ones are a dash; of so many
comparisons of five seeds about one in twelve counts by chance.

**One setting is one setting.** This one collapses because its discriminator learns more slowly than its generator;
where the cause is another, what does not help here may help, and the other way round. Five steps of the discriminator
cost three to four times the processor's time.
"""
DEAD_GOOD, DEAD_MODES = 0.1, 1
MEASURES = (("modes", "modes", 1), ("good", "good samples", 1), ("fid", "FID", -1))
"""Field, words, and whether more of it is better."""
HELPS, HARMS, NOTHING = "**helps**", "**harms**", "–"
MISSING = """
Dropout in the generator (17) and sparse gradients (5) are not among the switches: the one is advice for generators of
images, and these nets have no pools.
"""


def render(record: Mapping[str, Measured]) -> str:
    """The whole page."""
    head = HEAD.format(setting=SETTING, seeds=SEEDS)
    return "\n".join([head, _table(_rows(record)), *(f"- {line}" for line in _sentences(record)), MISSING])


def _rows(record: Mapping[str, Measured]) -> Iterator[Sequence[str]]:
    of_what = f"modes of {MODES}"
    asked = (f"{words}?" for _, words, _ in MEASURES)
    yield "changed", "by whom", of_what, "good samples", "FID", "dead seeds", "each: modes (good)", *asked
    for switch in SWITCHES:
        found = record.get(switch.key)
        if found is None:
            yield switch.title, switch.source or "–", *["–"] * 5, *["not measured"] * len(MEASURES)
            continue
        yield (
            switch.title,
            switch.source or "–",
            f"{mean(found.modes):.1f} ± {stdev(found.modes):.1f}",
            f"{100 * mean(found.good):.1f} ± {100 * stdev(found.good):.1f} %",
            f"{mean(found.fid):.3f} ± {stdev(found.fid):.3f}",
            f"{dead(found)} of {len(found.modes)}",
            ", ".join(f"{modes:.0f} ({100 * good:.0f} %)" for modes, good in zip(found.modes, found.good, strict=True)),
            *(_verdict(switch, record, name, sign) for name, _, sign in MEASURES),
        )


def dead(found: Measured) -> int:
    """How many seeds have nothing to show."""
    pairs = zip(found.modes, found.good, strict=True)
    return sum(good < DEAD_GOOD or modes <= DEAD_MODES for modes, good in pairs)


def _verdict(switch: Switch, record: Mapping[str, Measured], name: str, sign: int) -> str:
    """Of a switch that was measured, beside what it is compared with."""
    without = record.get(switch.against)
    if switch is PLAIN or without is None:
        return NOTHING
    return judge(getattr(record[switch.key], name), getattr(without, name), sign)


def judge(ours: Sequence[float], plain: Sequence[float], sign: int = 1) -> str:
    """Whether a switch betters something, of which more is better, or with a sign of −1 less."""
    apart = Difference.between(Spread.of(ours), Spread.of(plain))
    if not apart.counts:
        return NOTHING
    return HELPS if sign * apart.mean > 0 else HARMS


def _sentences(record: Mapping[str, Measured]) -> Iterator[str]:
    plain = record.get(PLAIN.key)
    if plain is None:
        return
    if dead(plain) == len(plain.modes):
        yield "Without advice every seed dies: what would harm a training that lives cannot be told here."
    tried = [switch for switch in SWITCHES if switch is not PLAIN and switch.key in record]
    for name, words, sign in MEASURES:
        said = {switch.title: _verdict(switch, record, name, sign) for switch in tried}
        for verdict, beginning in ((HELPS, "better"), (HARMS, "worse")):
            titles = [title for title, found in said.items() if found == verdict]
            if titles:
                yield f"{words[0].upper()}{words[1:]}, {beginning}: {'; '.join(titles)}."
    idle = [switch.title for switch in tried if not any(_helps(switch, record))]
    if idle:
        yield f"**Does not help here**, by none of the three: {'; '.join(idle)}."
    killed = [f"{switch.title} ({dead(record[switch.key])})" for switch in tried if dead(record[switch.key])]
    if killed:
        yield f"Seeds still die, of {SEEDS}, with: {'; '.join(killed)}."


def _helps(switch: Switch, record: Mapping[str, Measured]) -> Iterator[bool]:
    for name, _, sign in MEASURES:
        yield _verdict(switch, record, name, sign) == HELPS


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"
