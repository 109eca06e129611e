"""How often a generator is called worse than itself: fresh samples of one generator against its own earlier ones.

Every set of samples is measured against the stored reference once, with the usual metrics; each pair of sets is then
compared as `baseline` compares two evaluations, all metrics together and each alone.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from experiments.thresholds.record import ANY, FreshScores, FreshSets, WorseThanItself
from service.evaluation.extraction import extract_features
from service.evaluation.measure import choose_metrics, measure
from service.evaluation.references import References
from service.evaluation.report.baseline import compare
from service.evaluation.report.schema import Extraction, GeneratedSet, MetricEntry, ReferenceSet, Report
from service.metrics.metric import Side
from service.metrics.uncertainty import LEVEL
from service.operations.generate import gather_samples
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

MODEL, REFERENCE = "gan-mnist", "mnist-test"
SAMPLES = 2000
DIGITS = 7


async def draw_sets(settings: Settings, sets: int) -> FreshSets:
    """The usual metrics of so many sets of samples, each of its own seed."""
    store = ModelStore.of(settings)
    reference = References.of(settings).get(REFERENCE)
    extractor, generator = store.extractor(reference.description.extractor), store.get(MODEL, task="generate")
    found: list[dict[str, MetricEntry]] = []
    async with LocalEngine(store, threads=1) as engine:
        for seed in range(sets):
            images = await gather_samples(engine, generator, seed=seed, count=SAMPLES)
            features, probabilities = await extract_features(engine, extractor, images)
            found.append(measure(Side(features, probabilities), reference.side, choose_metrics()).metrics)
            if seed % 10 == 9:
                print(f"{MODEL}: {seed + 1} of {sets} sets", flush=True)
    scores = {name: _scores([entries[name] for entries in found]) for name in found[0]}
    return FreshSets(
        model=MODEL, version=generator.version, reference=REFERENCE, sets=sets, samples=SAMPLES, scores=scores
    )


def _scores(entries: Sequence[MetricEntry]) -> FreshScores:
    return FreshScores(
        values=tuple(_rounded(entry.value) for entry in entries),
        errors=tuple(None if entry.generated_error is None else _rounded(entry.generated_error) for entry in entries),
        ideal=entries[0].number("ideal"),
    )


def compare_sets(fresh: FreshSets) -> FreshSets:
    """The same sets with the shares of their ordered pairs in which the later one is called worse."""
    entries = [_entries(fresh, place) for place in range(fresh.sets)]
    worse = {name: np.zeros((fresh.sets, fresh.sets), bool) for name in (ANY, *fresh.scores)}
    undecided = {name: np.zeros_like(table) for name, table in worse.items()}
    for earlier, later in permutations(range(fresh.sets), 2):
        for check in compare(_report(entries[earlier]), entries[later]):
            name = check.threshold.split()[0]
            for one in (name, ANY):
                worse[one][earlier, later] |= not check.passed
                undecided[one][earlier, later] |= check.outcome == "inconclusive"
    shares = {name: _share(worse[name], undecided[name]) for name in worse}
    return fresh.model_copy(update={"worse": shares})


def _share(worse: NDArray[np.bool_], undecided: NDArray[np.bool_]) -> WorseThanItself:
    """The share of pairs; pairs share sets, so that the sets and not the pairs are left out in turn for its error."""
    n = len(worse)
    pairs = n * (n - 1)
    own = worse.sum(axis=0) + worse.sum(axis=1)
    without = (worse.sum() - own) / ((n - 1) * (n - 2))
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    return WorseThanItself(
        share=_rounded(worse.sum() / pairs), error=_rounded(error), undecided=_rounded(undecided.sum() / pairs)
    )


def _entries(fresh: FreshSets, place: int) -> dict[str, MetricEntry]:
    return {
        name: MetricEntry.model_validate(
            {
                "value": scores.values[place],
                "interval": None,
                "interval_reason": None,
                "level": LEVEL,
                "estimand": None,
                "standard_error": None,
                "generated_error": scores.errors[place],
                "noise_floor": None,
                "noise_floor_reason": None,
                **({} if scores.ideal is None else {"ideal": scores.ideal}),
            }
        )
        for name, scores in fresh.scores.items()
    }


def _report(entries: dict[str, MetricEntry]) -> Report:
    return Report.model_construct(
        id="earlier",
        seed=0,
        generated=GeneratedSet(count=SAMPLES, sha256=""),
        reference=ReferenceSet(count=None, sha256=""),
        features=Extraction(extractor="", dim=0),
        metrics=entries,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
