"""What a classifier's card says of its probabilities: the temperature, and what it changes."""

from typing import NamedTuple

import numpy as np

from service.calibration import Calibration, Change, FittedOn
from service.datasets.split import Split
from service.metrics.reliability import Reliability, fit_temperature, negative_log_likelihood, reliability
from service.metrics.samples import Real
from service.runtime.calls import EngineClient
from service.scoring.classes import Logits, logits_of
from service.scoring.halves import halves
from service.scoring.strangeness import learn_strangeness, strange_images
from service.settings import Settings
from service.store import Model
from service.tasks.sureness import softmax


class Fitted(NamedTuple):
    """A temperature, on what it was fitted, and how, in words."""

    temperature: float
    on: FittedOn
    how: str


async def fit_on_twin(twin: Model, engine: EngineClient, unseen: Split) -> Fitted:
    """The temperature under which the labels of images are likeliest that the twin has not seen."""
    logits = await logits_of(engine, twin, unseen.images)
    assert twin.card is not None, "a twin that was trained has a card"
    how = (
        f"least negative log-likelihood of the last {len(unseen):,} training images, which a twin (the same recipe,"
        f" seed {twin.card.seed}, weights {twin.version}) has not seen; this net's weights saw all of them"
    )
    return Fitted(_digits(fit_temperature(logits, unseen.labels)), "twin", how)


def fit_on_test(logits: Logits, test: Split) -> Fitted:
    """The temperature under which the labels of the test images are likeliest, all of them.

    All, because more images tell it better; what it changes is measured by temperatures of half of them.
    """
    how = (
        f"least negative log-likelihood of the {len(test):,} test images, which this net's weights have not seen; what"
        " it changes is measured on each half of them at the temperature of the other half"
    )
    return Fitted(_digits(fit_temperature(logits, test.labels)), "test-halves", how)


async def calibrate(
    model: Model, engine: EngineClient, *, test: Split, settings: Settings, fitted: Fitted | None = None
) -> Calibration:
    """All that a card says of a classifier's probabilities, by a temperature that was `fitted` or is fitted on `test`.

    What it changes, and how well strange images are told, is measured on images that taught none of it; only the energy
    takes a temperature of all test images. Raises DatasetMissing.
    """
    logits = await logits_of(engine, model, test.images)
    fitted = fitted or fit_on_test(logits, test)
    strange = {kind: await logits_of(engine, model, images) for kind, images in strange_images(model, test, settings)}
    ece, nll = changes(logits, test, fitted.temperature, fitted.on)
    return Calibration(
        temperature=fitted.temperature,
        fitted_on=fitted.on,
        how=fitted.how,
        ece=ece,
        nll=nll,
        strangeness=learn_strangeness(logits, test.labels, strange, fitted.temperature),
    )


def changes(logits: Logits, test: Split, temperature: float, fitted_on: FittedOn) -> tuple[Change, Change]:
    """What a temperature does to the calibration error of test images, and to the likelihood of their labels."""
    cooled = logits / temperatures_beside(logits, test, temperature, fitted_on)
    ece, nll = (
        Change(before=_six_digits(before), after=_six_digits(after))
        for before, after in (
            (_diagram(logits, test).ece, _diagram(cooled, test).ece),
            (negative_log_likelihood(logits, test.labels), negative_log_likelihood(cooled, test.labels)),
        )
    )
    return ece, nll


def diagrams(logits: Logits, test: Split, temperature: float, fitted_on: FittedOn) -> tuple[Reliability, Reliability]:
    """The reliability diagrams of test images by the net's own probabilities, and at a temperature."""
    cooled = logits / temperatures_beside(logits, test, temperature, fitted_on)
    return _diagram(logits, test), _diagram(cooled, test)


def temperatures_beside(logits: Logits, test: Split, temperature: float, fitted_on: FittedOn) -> Real:
    """For each test image (n, 1) a temperature that was fitted without it: this one, or that of the other half."""
    found = np.full((len(logits), 1), temperature)
    if fitted_on == "test-halves":
        first, second = halves(len(logits))
        for here, there in ((first, second), (second, first)):
            found[there] = fit_temperature(logits[here], test.labels[here])
    return found


def _diagram(logits: Logits | Real, test: Split) -> Reliability:
    return reliability(softmax(logits), test.labels)


def _digits(temperature: float) -> float:
    """Four behind the point, which is more than the number of images knows."""
    return round(temperature, 4)


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
