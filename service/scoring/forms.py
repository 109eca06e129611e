"""What a classifier is worth in each form, for its card: through the same code that serves, on its test set."""

from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from service.datasets.split import Split
from service.exactness import PLAIN, FormName, FormScore
from service.forms.form import Place
from service.forms.registry import FORMS, make_form, possible
from service.forms.timing import Compute, answer, plainly
from service.forms.verifying import Logits, agreement, apart, what_is_wrong
from service.machine import processor
from service.nets.registry import open_net
from service.nets.sequential import ClockworkClassifier, EchoStateClassifier
from service.store import Model

BATCH = 50


def measure_forms(
    model: Model, test: Split, place: Place, *, only: tuple[FormName, ...] = ()
) -> Iterator[tuple[FormName, FormScore | str]]:
    """The plain form's score and then that of every other that is possible here, or why it must not serve.

    Those that another kind of machine has are left to that.
    """
    net = open_net(model.manifest.net, model.manifest.options, model.weights)
    plain = _logits(plainly(net, model), test, place)
    yield PLAIN, _score(PLAIN, model, test, plain, plain)
    if isinstance(net, EchoStateClassifier | ClockworkClassifier):
        return  # a form would have every step of its way through the image as a step of its own
    for name, kind in possible(place).items():
        if only and name not in only:
            continue
        try:
            other = _logits(make_form(name, model, place).logits, test, place)
        except Exception as error:  # noqa: BLE001 - whatever a foreign runtime makes of a net, it is told
            yield name, f"it cannot be made: {type(error).__name__}: {error}"
            continue
        wrong = what_is_wrong(plain, other, kind.precision, model.calibration)
        yield name, wrong or _score(name, model, test, plain, other)


def _logits(compute: Compute, test: Split, place: Place) -> Logits:
    parts = [np.ascontiguousarray(test.images[at : at + BATCH]) for at in range(0, len(test), BATCH)]
    return np.concatenate([answer(compute, part, place) for part in parts])


def _score(name: FormName, model: Model, test: Split, plain: Logits, other: Logits) -> FormScore:
    packages = FORMS[name].versions if name != PLAIN else ("torch",)
    by = ", ".join(f"{package} {version(package)}" for package in packages)
    return FormScore(
        accuracy=float((other.argmax(axis=1) == test.labels).mean()),
        agreement=agreement(plain, other),
        apart=float(f"{apart(plain, other, model.calibration).mean():.3g}"),
        on=f"{len(test):,} images of {model.manifest.dataset} test",
        how=f"{BATCH} at a time by {by} on {processor()}",
    )
