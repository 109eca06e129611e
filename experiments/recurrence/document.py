"""docs/chapter-6.md from the measurements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean, stdev

from experiments.recurrence.players import KINDS
from experiments.recurrence.record import Record, Sized, Trained
from experiments.recurrence.tasks import Task
from experiments.spreads import Difference, Spread

HEAD = """# Chapter 6, measured

What the chapter says of clockwork and of echo states, beside an Elman network and an LSTM. Written by
`python -m experiments.recurrence`; what was measured lies in [chapter-6.json](chapter-6.json), and `--render` writes
this page from it alone.

**Read the numbers as what they are.** Nets are small and trainings short: what one core does in minutes. All nets of a
table have about as many parameters, see the same batches and get the same number of updates of Adam with clipped
gradients; each kind has the best of {rates}, found on {tuned} draws of the weights and on data that are
not those of the table. Numbers are mean ± standard deviation over {seeds} other draws, called seeds; a difference of
errors counts from two standard errors on, one of times from a tenth on, and none where neither net errs by a tenth less
than who has learnt nothing. The LSTM's forget gates begin with a bias of 5, as in the paper. Seconds are those of one
processor's time.

The paper is Koutník, Greff, Gomez, Schmidhuber, *A Clockwork RNN*, ICML 2014 (arXiv 1402.3511).
"""
CLOCKWORK, PLAIN, LSTM = KINDS
ECHOED = "narma-10"
"""The task that echo state networks have too."""
LEARNT = 0.9
"""A share of the error of who has learnt nothing: nets that err more are not compared."""
CLOSE = 0.1
"""Times that differ by less than this share say nothing."""


def render(tasks: Sequence[Task], record: Record, *, rates: Sequence[float], tuned: int, seeds: int) -> str:
    """The whole page."""
    given = {"rates": f"the rates {', '.join(f'{rate:g}' for rate in rates)}", "tuned": tuned, "seeds": seeds}
    parts = [
        HEAD.format(**given),
        "## At a glance\n",
        _table(_glance(tasks, record)),
        "## Parameters and time at the same number of units\n",
        _table(_sizes(record.sized)),
        *(f"- {sentence}" for sentence in _of_sizes(record.sized)),
        "",
        *(part for task in tasks if _is_measured(task, record) for part in _section(task, record)),
        *_waiting([task for task in tasks if not _is_measured(task, record)]),
    ]
    return "\n".join(parts)


def _glance(tasks: Sequence[Task], record: Record) -> Iterator[Sequence[str]]:
    yield "sentence", "measured on", "Clockwork RNN : other", "verdict"
    sizes = {size.net: size for size in record.sized}
    if sizes:
        ours, plain = sizes[CLOCKWORK], sizes[PLAIN]
        words = f"{ours.units} units, beside a plain RNN of as many"
        yield (
            "It has fewer parameters than an RNN of as many units",
            words,
            f"{ours.parameters:,} : {plain.parameters:,}",
            _verdict(ours.parameters < plain.parameters),
        )
        yield (
            "It trains and runs faster than an RNN of as many units",
            words,
            f"{ours.milliseconds:.0f} : {plain.milliseconds:.0f} ms an update",
            quicker(ours.milliseconds, plain.milliseconds),
        )
    for task in tasks:
        found = record.of(task.key)
        for other in (PLAIN, LSTM):
            if CLOCKWORK in found and other in found:
                ours_and_theirs = (_spread(task, found[kind].errors) for kind in (CLOCKWORK, other))
                yield (
                    f"It errs less than {_article(other)} of as many parameters",
                    task.title,
                    " : ".join(ours_and_theirs),
                    judge(found[CLOCKWORK].errors, found[other].errors, task.idle),
                )


def _is_measured(task: Task, record: Record) -> bool:
    """Whether there is anything to say of a task."""
    return bool(record.of(task.key)) or (task.key == ECHOED and bool(record.echoed))


def _waiting(tasks: Sequence[Task]) -> Iterator[str]:
    """The tasks of which there is nothing to say yet."""
    if tasks:
        yield "## Not measured yet\n"
        yield "`python -m experiments.recurrence` goes on with these, and with rows above that are not trained yet.\n"
        yield from (f"- {task.title}: {task.protocol}" for task in tasks)
        yield ""


def _article(kind: str) -> str:
    return "an LSTM" if kind == LSTM else f"a {kind}"


def _verdict(holds: bool) -> str:  # noqa: FBT001 - it is the one thing that is said
    return "reproduced" if holds else "**not reproduced**"


def quicker(ours: float, theirs: float) -> str:
    """Whether one time is shorter than another by more than a busy machine explains."""
    return "too close to call" if abs(ours - theirs) < CLOSE * theirs else _verdict(ours < theirs)


def judge(ours: Sequence[float], theirs: Sequence[float], idle: float) -> str:
    """Whether errors are lower than others by two standard errors, if not all are those of who has learnt nothing."""
    if min(mean(ours), mean(theirs)) > LEARNT * idle:
        return "neither has learnt it"
    apart = Difference.between(Spread.of(ours), Spread.of(theirs))
    return _verdict(apart.mean < 0) if apart.counts else "too close to call"


def _sizes(sizes: Sequence[Sized]) -> Iterator[Sequence[str]]:
    yield "net", "units", "parameters", "multiply-accumulates of 128 steps", "an update, ms"
    for size in sizes:
        name = f"{size.net}, {size.modules} modules" if size.modules > 1 else size.net
        yield name, f"{size.units}", f"{size.parameters:,}", f"{size.macs:,}", f"{size.milliseconds:.0f}"


def _of_sizes(sizes: Sequence[Sized]) -> Iterator[str]:
    known = {size.net: size for size in sizes}
    if len(known) < len(KINDS):
        return
    ours = known[CLOCKWORK]
    for other in (known[PLAIN], known[LSTM]):
        yield (
            f"Beside the {other.net} it has {ours.parameters / other.parameters:.2f} times the parameters, multiplies"
            f" {other.macs / ours.macs:.1f} times less often and takes {ours.milliseconds / other.milliseconds:.2f}"
            " times as long."
        )
    yield (
        "The paper promises g / 2 times fewer multiplications and more, of g modules of the same size. An update is"
        " forward, backward and a step of Adam on 32 sequences of 128 steps: what one step costs beside its"
        " multiplications does not shrink with the modules that stand still."
    )


def _section(task: Task, record: Record) -> Iterator[str]:
    found = record.of(task.key)
    yield f"## {task.title}\n"
    yield f"{task.protocol}\n"
    yield _table(_rows(task, found, record))
    yield from (f"- {sentence}" for sentence in _sentences(task, found))
    yield ""


def _rows(task: Task, found: Mapping[str, Trained], record: Record) -> Iterator[Sequence[str]]:
    yield (
        "net",
        "units",
        "parameters",
        "rate",
        task.error,
        "each seed",
        f"updates to a loss of {task.goal:g}",
        "seconds",
    )
    for kind in KINDS:
        if kind not in found:
            yield kind, *["–"] * 5, "not trained yet", "–"
            continue
        one = found[kind]
        yield (
            kind,
            f"{one.units}",
            f"{one.parameters:,}",
            f"{one.rate:g}",
            f"**{_spread(task, one.errors)}**",
            ", ".join(_error(task, value) for value in one.errors),
            _reached(task, one),
            f"{one.seconds:.0f}",
        )
    for echoed in record.echoed if task.key == ECHOED else ():
        yield (
            "echo state network",
            f"{echoed.units}",
            f"{echoed.fitted} fitted",
            "–",
            f"**{_spread(task, echoed.errors)}**",
            ", ".join(_error(task, value) for value in echoed.errors),
            "–",
            f"{echoed.seconds:.1f}",
        )


def _sentences(task: Task, found: Mapping[str, Trained]) -> Iterator[str]:
    for kind, one in found.items():
        tried = ", ".join(f"{rate}: {_error(task, error)}" for rate, error in one.tried.items())
        yield f"Rates of the {kind}, and the error with each after half as many updates: {tried}."
    yield from _at_the_edge(found.values())
    if CLOCKWORK in found:
        for other in (PLAIN, LSTM):
            if other in found:
                verdict = judge(found[CLOCKWORK].errors, found[other].errors, task.idle)
                yield f"A lower error than {_article(other)}'s of as many parameters: {verdict}."
    if found and task.limits:
        yield task.limits
    if found and all(mean(one.errors) > LEARNT * task.idle for one in found.values()):
        yield (
            f"None of them has learnt the task in {task.updates:,} updates: who has learnt nothing has an error of"
            f" {_error(task, task.idle)}. They would need more updates than one core gives in minutes: the table says"
            " that so few are not enough, and nothing of which of them would learn it."
        )


def _at_the_edge(found: Iterable[Trained]) -> Iterator[str]:
    """Whose best rate is the least or the greatest of those that were tried."""
    ends = {one.net: one.rate for one in found if one.rate in (min(_rates(one)), max(_rates(one)))}
    if ends:
        whose = ", ".join(f"the {net}'s {rate:g}" for net, rate in ends.items())
        yield f"At the edge of the rates that were tried, so that a better one may lie beyond: {whose}."


def _rates(found: Trained) -> list[float]:
    return [float(rate) for rate in found.tried]


def _reached(task: Task, found: Trained) -> str:
    """When the mean loss since the last moment was first below the goal: mean over the seeds, or how many got there."""
    moment = task.updates // len(found.losses)
    firsts = [
        next((moment * place for place, loss in enumerate(own, start=1) if loss < task.goal), None)
        for own in zip(*found.losses, strict=True)
    ]
    there = [first for first in firsts if first is not None]
    if len(there) < len(firsts):
        return f"{len(there)} of {len(firsts)} got there"
    return f"{mean(there):,.0f}"


def _spread(task: Task, values: Sequence[float]) -> str:
    if task.error == "test error":
        return f"{100 * mean(values):.1f} ± {100 * stdev(values):.1f} %"
    return f"{mean(values):.2g} ± {stdev(values):.1g}"


def _error(task: Task, value: float) -> str:
    return f"{100 * value:.1f} %" if task.error == "test error" else f"{value:.2g}"


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"
