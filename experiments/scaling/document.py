"""docs/scaling.md: what was measured here, what the simulation says beyond, and what it started from."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from experiments.scaling import growth
from experiments.scaling.inputs import Inputs
from experiments.scaling.queues import classified, evaluated

PODS = (1, 10, 100, 1000)
LOADS = (0.1, 0.3, 0.5, 0.7, 0.9)
CLASSIFICATIONS, EVALUATIONS = 1e9, 1e6
"""A day."""

HEAD = """# How it grows

Written by `python -m experiments.scaling`; `python -m benchmarks.scaling --write` measures the first part anew.

## Measured here

Engines of a net that only sleeps, 200 images a second each whatever else the machine does (those of Ray 10), so that
what is seen is the way to them and not the processor: a closed loop of single images through `/classify`. A pod is a
service of its own on the same machine; requests go to them in turn, as a load balancer would send them.
"""

LIMITS = [
    "pods, a GPU each",
    "classifications a day",
    "limited by",
    "evaluations a day, one database",
    "limited by",
    "in cells",
    "limited by",
]
NOTHING = "Nothing has been measured yet."

TOGETHER = """
## One evaluation over all engines

An evaluation keeps blocks under way for every engine of its own service. Where services share a PostgreSQL, it also
has them done by the engines of the others:

```console
$ export CHAPTERHOUSE_ENGINES_ADDRESS=10.0.0.7:8100 CHAPTERHOUSE_ENGINES_SECRET=…
```

The address is this machine's own, as the others reach it; the second engine listens at the next port, and so on.
The secret is the same for all, of 32 characters at least (`openssl rand -hex 32`). Unless both are set nothing
listens and nobody is asked. Services tell their addresses in the database every 15 s; an evaluator reaches those
that told lately for as long as it works, and lets them go with the end of it. Chunks are merged in their own order
whoever made them, so the numbers are those of one engine, to the bit:

- **The same bits or no part.** Every engine says what the bits of its exact work depend on: the card, cuDNN and
  torch, or the processor, its vector instructions and the number of threads, and the version of Chapterhouse. An
  evaluation is done by engines that say the same as the first of its own service. Processors of two makes, or of
  one make with other threads (`CHAPTERHOUSE_THREADS`), do not mix; nor do two versions during a roll-out.
- **A lost engine's blocks are done again elsewhere**, at once where its connection ends, after 15 s where it only
  falls silent.
- **Nobody depends on another.** What another service cannot do, because it lacks the model or is about to end, is
  done here. Work of others goes last in an engine, behind everything that somebody waits for.
- **Models.** An engine elsewhere loads the model with the first block that it gets, and gets no second one before
  that is done: name extractors in `CHAPTERHOUSE_PRELOAD`. Added models have to be on all machines
  (`chapterhouse models push` and `pull`).
- **Memory.** The blocks under way take 512 MiB at most, however many engines there are; images, their features,
  digests and orders lie in files on the evaluator's disk, and what it holds hardly grows with them
  (`tests/evaluation/test_memory.py`). Archives are the exception: the names of their files, of which 250,000 are
  read at most, stay in memory. `python -m benchmarks.million` prints what each process holds for a million images:
  with LeNet-5 on two cores of an AMD EPYC, FID of 100,000, 500,000 and 1,000,000 images took 14, 64 and 132 s, and
  the evaluator had 113, 167 and 187 MiB at most, the figures of the report among them; the other processes did not
  grow by 6.

Several evaluators work side by side, each on an evaluation of its own (`CHAPTERHOUSE_EVALUATORS`). On a Ray cluster
([ray.md](ray.md)) all of this is so without a setting: its replicas are one cluster already, and have to be of one
kind. What crosses the network is not encrypted ([security.md](security.md#left-to-the-operator)).
"""

BEYOND = """
## Beyond, by simulation

No cluster was at hand, so what follows is reckoned and simulated (`experiments/scaling`) from the inputs at the end of
this page, most of which are assumed. It says which resource is the next limit and roughly where, not how fast a cluster
is. `python -m experiments.scaling gpu_hour=4 image_device_s=0.001` puts other inputs in. At most {share:.0%} of what a
resource can do is asked of it; pods are enough for the busiest hour, which has {peak:g} times the mean.

### What becomes the limit
"""

BETWEEN = """
- **Classifications** are limited by the cores of the fronts and not by devices: a request costs a front
  {request_us:.0f} µs of a core, while a device answers it in a full batch within {row_us:.0f} µs. More cores beside
  each GPU come before more GPUs; beyond one load balancer there are several, by DNS or by a network's own. Pods share
  nothing for them.
- **Evaluations** are limited by devices and evaluators as long as pods are few. At {few} pods one PostgreSQL has no
  connection left: every front and every evaluator has one for its questions and one that listens. A pool of
  connections by transaction takes the former, and never the latter, for a connection that listens has to stay. So a
  cluster beyond that is several cells of fewer pods, each with a database of its own, behind one address that keeps a
  caller in its cell; the last columns have them.
- **Notices** grow with pods times evaluations, since every change is told to everybody: the second reason for cells.
- **Prometheus** holds {prometheus:,.0f} pods; beyond, it is one for each cell.
"""

COSTS = """
### A billion classifications and a million evaluations a day

Pods for the busiest hour run all day; fewer by night, as `autoscaling` has it, cost less.
"""

WAITING = """
### Waiting

Of one pod, whose requests come at random; and of pods for a million evaluations a day in the busiest hour, fewer and
more than are needed.
"""


def table(head: list[str], rows: Iterator[list[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def plain(number: float) -> str:
    """A number in three digits at most."""
    for limit, name in ((1e9, " billion"), (1e6, " million")):
        if number >= limit:
            return f"{number / limit:.3g}{name}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def render(inputs: Inputs, measured: Mapping[str, Any]) -> str:
    """The page."""
    few = growth.pods_of_a_cell(inputs) + 1
    batch_s = inputs.batch_fixed_s + inputs.max_batch * inputs.batch_row_s
    said = BETWEEN.format(
        request_us=inputs.request_core_s * 1e6,
        row_us=batch_s / inputs.max_batch * 1e6,
        few=few,
        prometheus=inputs.series / inputs.pod_series,
    )
    parts = [
        HEAD,
        _measured(measured),
        TOGETHER,
        BEYOND.format(share=inputs.share, peak=inputs.peak),
        table(LIMITS, _limits(inputs)),
        said,
        COSTS,
        table(["a day", "pods", "databases", "what a million costs", "of it"], _costs(inputs)),
        WAITING,
        table(["load of a pod", "classifications/s", "p50", "p99"], _waiting(inputs)),
        table(["pods", "evaluations/s", "p50", "p99"], _evaluating(inputs)),
        "### Inputs\n",
        table(["input", "value", "unit", "from"], _inputs(inputs)),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _measured(measured: Mapping[str, Any]) -> str:
    if not measured:
        return NOTHING
    rows = ([what, str(n), plain(rate), f"{ratio:.2f}"] for what, n, rate, ratio in measured["rows"])
    return f"{measured['machine']}.\n\n" + table(["what", "how many", "images/s", "times one"], rows)


def _limits(inputs: Inputs) -> Iterator[list[str]]:
    for pods in PODS:
        row = [f"{pods:,}"]
        for ask in (growth.classifying, growth.evaluating, growth.evaluating_in_cells):
            limits = ask(inputs, pods)
            row += [plain(limits.per_second * growth.DAY_S) if limits.per_second else "none", limits.first]
        yield row


def _costs(inputs: Inputs) -> Iterator[list[str]]:
    few, many = growth.pods_for_classifications, growth.pods_for_evaluations
    classify, evaluate = (
        growth.classifications_cost(inputs, CLASSIFICATIONS),
        growth.evaluations_cost(inputs, EVALUATIONS),
    )
    work = (
        ("a billion classifications", few(inputs, CLASSIFICATIONS), classify),
        ("a million evaluations", many(inputs, EVALUATIONS), evaluate),
    )
    for what, pods, costs in work:
        parts = ", ".join(f"{name} ${cost:,.2f}" for name, cost in costs.items())
        databases = growth.cells(inputs, pods) if "databases" in costs else 0
        yield [what, str(pods), str(databases or "–"), f"${sum(costs.values()):,.2f}", parts]


def _waiting(inputs: Inputs) -> Iterator[list[str]]:
    most = growth.classifying(inputs, 1).rates
    whole = min(most["cores of the fronts"], most["devices"]) / inputs.share
    for load in LOADS:
        seconds = classified(inputs, load * whole)
        yield [f"{load:.0%}", plain(load * whole), f"{seconds.p50 * 1e3:.1f} ms", f"{seconds.p99 * 1e3:.1f} ms"]


def _evaluating(inputs: Inputs) -> Iterator[list[str]]:
    needed = growth.pods_for_evaluations(inputs, EVALUATIONS)
    rate = inputs.peak * EVALUATIONS / growth.DAY_S
    for part in (0.75, 1.0, 1.5):
        pods = max(1, round(part * needed))
        seconds = evaluated(inputs, pods, rate)
        yield [str(pods), plain(rate), f"{seconds.p50:.1f} s", f"{seconds.p99:.1f} s"]


def _inputs(inputs: Inputs) -> Iterator[list[str]]:
    for each in fields(inputs):
        value = f"{getattr(inputs, each.name):.6g}"
        yield [f"`{each.name}`", value, each.metadata["unit"], each.metadata["source"]]
