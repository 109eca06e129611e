"""From the store's calibrated classifiers to measurements, of each by itself and of those that name digits together."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from experiments.calibration.record import Diagram, Measurement, Team
from service.datasets.registry import find_dataset
from service.runtime.calls import EngineClient
from service.scoring.calibration import diagrams, fit_on_test
from service.scoring.classes import logits_of
from service.scoring.halves import halves
from service.scoring.strangeness import strange_images
from service.settings import Settings
from service.store import Model
from service.tasks.sureness import mean_probabilities, probabilities_of, softmax, strangeness_of

CONFIDENT = 0.9
TEST = "test images"
NAMERS = ("lenet5-mnist", "nin-mnist", "mlp-mnist")
"""Among whom those that name generators' digits are chosen; the first is the extractor."""


def classifiers(models: Sequence[Model]) -> list[Model]:
    """Those that this project trains, and that have been trained."""
    return [
        model
        for model in models
        if model.manifest.task == "classify" and model.manifest.source is None and model.card is not None
    ]


async def measure(model: Model, engine: EngineClient, settings: Settings) -> Measurement:
    """What a calibrated classifier says of its test set and of what is strange to it, before and after.

    Strangeness on the half of each kind that has not told what is strange.
    """
    calibration = model.calibration
    assert calibration is not None, "only calibrated ones are measured"
    known = calibration.strangeness
    test = find_dataset(model.manifest.dataset).load(settings.data, "test")
    logits = {TEST: await logits_of(engine, model, test.images)}
    for kind, images in strange_images(model, test, settings):
        logits[kind] = await logits_of(engine, model, images)
    before, after = diagrams(logits[TEST], test, calibration.temperature, calibration.fitted_on)
    return Measurement(
        model=model.id,
        weights=model.version,
        temperature=calibration.temperature,
        fitted_on=calibration.fitted_on,
        of_test=fit_on_test(logits[TEST], test).temperature,
        limit=known.limit,
        before=Diagram.of(before),
        after=Diagram.of(after),
        confident={
            kind: (_confident(softmax(rows)), _confident(probabilities_of(rows, calibration)))
            for kind, rows in logits.items()
        },
        noted={
            kind: _share(strangeness_of(rows[halves(len(rows))[1]], known, calibration.temperature) > known.limit)
            for kind, rows in logits.items()
        },
    )


async def measure_teams(models: Sequence[Model], engine: EngineClient, settings: Settings) -> list[Team]:
    """Every team that these classifiers of one dataset can form, on the test set and on what is strange."""
    test = find_dataset(models[0].manifest.dataset).load(settings.data, "test")
    kinds = {TEST: test.images, **dict(strange_images(models[0], test, settings))}
    logits = {
        (model.id, kind): await logits_of(engine, model, images) for model in models for kind, images in kinds.items()
    }
    teams = []
    for members in _teams(models):
        found = {
            kind: mean_probabilities((logits[member.id, kind], member.calibration) for member in members)
            for kind in kinds
        }
        teams.append(
            Team(
                members=tuple(member.id for member in members),
                accuracy=float((found[TEST].argmax(axis=1) == test.labels).mean()),
                confident={kind: _confident(probabilities) for kind, probabilities in found.items()},
            )
        )
    return teams


def _teams(models: Sequence[Model]) -> Iterator[tuple[Model, ...]]:
    for size in range(1, len(models) + 1):
        yield from combinations(models, size)


def _confident(probabilities: NDArray[np.float64]) -> float:
    return _share(probabilities.max(axis=1) >= CONFIDENT)


def _share(chosen: NDArray[np.bool_]) -> float:
    return round(float(chosen.mean()), 4)
