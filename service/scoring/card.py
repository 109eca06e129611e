"""What a model is worth on data that training never saw: for its card, and to see whether the card still holds."""

from service.calibration import Calibration
from service.settings import Settings
from service.store import Card, Model, ModelStore, Score

ACCURACY_TOLERANCE = 0.001
"""How far an accuracy, a share of 1, may lie from its card's, or a calibration error, or a likelihood in nats."""
RELATIVE_TOLERANCE = 0.01
"""How far any other score may lie from its card's, as a share of it: the last digits differ between machines."""


async def measure_scores(settings: Settings, store: ModelStore, model: Model, card: Card) -> dict[str, Score]:
    """The scores of a model's task, measured through an engine that serves it from `store`.

    Raises DatasetMissing where the data are not here, ReferenceNotFound where a generator has nothing to be compared
    with.
    """
    from service.datasets.registry import STACKED, find_dataset, find_series
    from service.evaluation.pipeline import Bench
    from service.evaluation.references import References
    from service.runtime.in_process import LocalEngine
    from service.scoring.classes import namers_of
    from service.scoring.forecasts import forecast_scores
    from service.scoring.images import classifier_scores, generator_scores, point_scores, stacked_scores

    async with LocalEngine(store) as engine:
        if model.manifest.task == "classify":
            test = find_dataset(model.manifest.dataset).load(settings.data, "test")
            return await classifier_scores(model, engine, test)
        if model.manifest.task == "forecast":
            unseen = find_series(model.manifest.dataset).load(settings.data, "test")
            return await forecast_scores(model, engine, unseen)
        if model.manifest.points is not None:
            return await point_scores(model, engine, seed=card.seed)
        if model.manifest.dataset in STACKED:
            modes = STACKED[model.manifest.dataset].modes
            return await stacked_scores(model, namers_of(model, store), engine, modes, seed=card.seed)
        bench = Bench(settings, store, engine, References.of(settings))
        return await generator_scores(model, bench, seed=card.seed)


async def measure_calibration(settings: Settings, model: Model, said: Calibration) -> Calibration:
    """What a card says of its temperature, measured again, and the temperature itself if the test set told it.

    Raises DatasetMissing where the data are not here.
    """
    from service.datasets.registry import find_dataset
    from service.runtime.in_process import LocalEngine
    from service.scoring.calibration import changes, fit_on_test
    from service.scoring.classes import logits_of

    test = find_dataset(model.manifest.dataset).load(settings.data, "test")
    async with LocalEngine(ModelStore(model.folder.parent)) as engine:
        logits = await logits_of(engine, model, test.images)
    ece, nll = changes(logits, test, said.temperature, said.fitted_on)
    temperature = fit_on_test(logits, test).temperature if said.fitted_on == "test-halves" else said.temperature
    return said.model_copy(update={"ece": ece, "nll": nll, "temperature": temperature})


def miscalibrated(said: Calibration, found: Calibration) -> list[str]:
    """In a sentence each, what of a classifier's calibration is not what the card says."""
    changed = {"ECE": (said.ece, found.ece), "NLL": (said.nll, found.nll)}
    wrong = [
        f"its {name} is {now.before:.6g} → {now.after:.6g}; its card says {then.before:.6g} → {then.after:.6g}"
        for name, (then, now) in changed.items()
        if max(abs(now.before - then.before), abs(now.after - then.after)) > ACCURACY_TOLERANCE
    ]
    if abs(found.temperature - said.temperature) > RELATIVE_TOLERANCE * said.temperature:
        wrong.append(f"its temperature is {found.temperature:.6g}; its card says {said.temperature:.6g}")
    return wrong


def differing(card: Card, found: dict[str, Score]) -> list[str]:
    """The scores that are not what the card says, a sentence for each."""
    return [
        f"its {name} is {found[name].value:.6g} on {score.on}; its card says {score.value:.6g}"
        for name, score in card.scores.items()
        if abs(found[name].value - score.value) > _tolerance(name, score)
    ]


def _tolerance(name: str, score: Score) -> float:
    return ACCURACY_TOLERANCE if name == "accuracy" else RELATIVE_TOLERANCE * abs(score.value)
