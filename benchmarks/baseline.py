"""How often a generator is called worse than itself: fresh samples of one generator against its own earlier ones.

    python benchmarks/baseline.py --sets 60

Every set of samples is measured against the stored reference once, with the usual metrics; each pair of sets is then
compared as `baseline` compares two evaluations, all metrics together and each alone.
"""

import argparse
import asyncio
from collections import Counter
from itertools import permutations

from service.evaluation.extraction import extract_features
from service.evaluation.measure import choose_metrics, measure
from service.evaluation.references import References
from service.evaluation.report.baseline import compare
from service.evaluation.report.schema import Extraction, GeneratedSet, ReferenceSet, Report
from service.metrics.metric import Side
from service.operations.generate import gather_samples
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import ModelStore

SAMPLES = 2000


async def reports_of(model_id: str, reference_name: str, sets: int) -> list[Report]:
    """One report a set, each of its own seed."""
    settings = Settings()
    store = ModelStore.of(settings)
    reference = References.of(settings).get(reference_name)
    extractor, generator = store.extractor(reference.description.extractor), store.get(model_id, task="generate")
    found = []
    async with LocalEngine(store, threads=1) as engine:
        for seed in range(sets):
            images = await gather_samples(engine, generator, seed=seed, count=SAMPLES)
            features, probabilities = await extract_features(engine, extractor, images)
            measured = measure(Side(features, probabilities), reference.side, choose_metrics())
            found.append(
                Report(
                    id=str(seed),
                    seed=0,
                    generated=GeneratedSet(count=SAMPLES, sha256=""),
                    reference=ReferenceSet(count=reference.description.count, sha256=""),
                    features=Extraction(extractor=extractor.id, dim=features.shape[1]),
                    metrics=measured.metrics,
                )
            )
    return found


def main() -> None:
    """Measure and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gan-mnist")
    parser.add_argument("--reference", default="mnist-test")
    parser.add_argument("--sets", type=int, default=60)
    options = parser.parse_args()
    reports = asyncio.run(reports_of(options.model, options.reference, options.sets))
    worse: Counter[str] = Counter()
    pairs = list(permutations(reports, 2))
    for earlier, later in pairs:
        failed = [check.threshold.split()[0] for check in compare(earlier, later.metrics) if not check.passed]
        worse.update({*failed, *(["any"] if failed else [])})
    print(f"{len(reports)} sets of {SAMPLES:,} samples of {options.model}, {len(pairs):,} comparisons:")
    for name in ("any", *reports[0].metrics):
        print(f"  {name}: worse than itself in {100 * worse[name] / len(pairs):.2f} %")


if __name__ == "__main__":
    main()
