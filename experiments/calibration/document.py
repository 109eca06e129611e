"""docs/calibration.md from the cards and the measurements."""

from collections.abc import Iterator, Sequence

from experiments.calibration.measuring import CONFIDENT, TEST
from experiments.calibration.record import Measurement, Record
from service.calibration import METHODS
from service.store import Model

HEAD = """# Calibration: how sure the classifiers may be

Written by `python -m experiments.calibration` from the cards of the models and from what it measures on test images;
the measurements lie in [calibration.json](calibration.json), and `--render` writes this page from them and the cards
alone.

A net that is trained until it is right about every image says so of every image. Dividing its logits by one number,
the temperature, makes it as sure as it is right on average and changes no label (Guo et al. 2017, arXiv 1706.04599).
The number has to be fitted on images that the fitted net has not seen, and the shipped weights saw all training images.
There are two ways, and a card says which was taken (`fitted_on`):

- **twin**: `chapterhouse calibrate ID` trains a twin by the same recipe and seed without the last 5,000 training
  images, takes the temperature under which their labels are likeliest for the twin, and carries it over to the shipped
  weights.
- **test halves**: `chapterhouse calibrate ID --on test-halves`, where a twin would take hours, fits the shipped net's
  temperature on its test images, which it has not seen either. What is served is fitted on all of them, because more
  images tell it better. What the table says of it is not: each half of 5,000 is measured at the temperature that was
  fitted on the other half, and the 10,000 answers that come of it are counted together.

The weights stay as they are. `/classify` answers at that temperature; features and logits that `/evaluate` compares
stay raw.

ECE is the expected calibration error in 15 bins of equal width, NLL the mean negative log-likelihood in nats, both on
the 10,000 test images, before → after. *of the test images*: the temperature that they would have been given, beside
which a twin's can be judged. Where a net was as sure as it may be already, a temperature carried over from its twin can
make it slightly worse, and the table says so.
"""
FITTED_ON = {"twin": "twin", "test-halves": "test halves"}
BLIND = 0.7
"""An AUROC below which nothing is told apart."""
STRANGE = """## What is strange

A temperature does not make a net unsure of what it has never seen. So each prediction has a `strangeness` beside its
labels: the *energy* −T log Σ exp(z / T) of its logits z (Liu et al. 2020, arXiv 2010.03759), or the *distance* of z to
the nearest class with the covariance that all classes share (Lee et al. 2018, arXiv 1807.03888), whichever tells
strange images better on average. Neither is best for all: the energy of a linear readout has no floor, so that it finds
noise the most familiar of all, and a distance among ten logits says little where classes overlap. Beyond the card's
limit, which 5 % of the test images exceed, the answer carries a note.

Class means, covariance, limit and choice come from 5,000 of the test images and half of what is strange; training
images are no help, because a net is surer of those that it has seen. How well they tell, and the notes below, are
measured on the other halves.

AUROC: the chance that the image is stranger than a test image, 1,000 of each kind (128 of the 256 blanks, every grey
from black to white); in brackets that of the method which was not chosen. A blend is the mean of two test images of
different classes. *beyond*: the share of the test images that exceed the limit.
"""
SURE = f"""## Who is sure of what is nothing

The share of images that are named with {CONFIDENT} or more, at T = 1 → at the temperature; and the share whose answer
carries the note that they are strange.
"""
TEAMS = f"""## Who names the digits of generators

Generators of digits are scored by the mean of several classifiers' calibrated probabilities. The share of images that
each team names with {CONFIDENT} or more: it should be large for test images and nothing for what is no digit.
`lenet5-mnist` gives the features on which generators are compared, and should not judge its own case; the team in bold
is the one that names.
"""
DIAGRAMS = """## Reliability diagrams

Blue: how often the net is right among the test images of which it is so sure; red: by how much it is off; dashed: what
it should be. Bins with fewer than 20 images are left out. Of test halves each image stands at the temperature of the
half that it is not in.
"""


def render(models: Sequence[Model], record: Record, chosen: tuple[str, ...]) -> str:
    """The whole page; `chosen` are those that name the digits of generators."""
    parts = [
        HEAD,
        _table(_temperatures(models, record)),
        STRANGE,
        _table(_areas(models)),
        *(f"{sentence}\n" for sentence in _blind(models)),
        SURE,
        _table(_confident(record)),
        TEAMS,
        _table(_teams(record, chosen)) if record.teams else "Not measured: not all of them are calibrated yet.\n",
        DIAGRAMS,
        *(f"![{found.model}](calibration/{found.model}.svg)\n" for found in record.measurements),
    ]
    return "\n".join(parts)


def _table(rows: Iterator[Sequence[str]]) -> str:
    """The first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count("|") - 1), *lines[1:]]) + "\n"


def _temperatures(models: Sequence[Model], record: Record) -> Iterator[Sequence[str]]:
    yield "model", "accuracy", "temperature", "of the test images", "fitted on", "ECE", "NLL"
    for model in models:
        assert model.card is not None, "a trained classifier has a card"
        known = model.calibration
        accuracy = f"{100 * model.card.scores['accuracy'].value:.2f} %"
        if known is None:
            yield f"`{model.id}`", accuracy, f"not measured; `chapterhouse calibrate {model.id}`", *4 * ["–"]
        else:
            ece = f"{100 * known.ece.before:.2f} % → {100 * known.ece.after:.2f} %"
            nll = f"{known.nll.before:.4f} → {known.nll.after:.4f}"
            found = record.find(model.id)
            of_test = f"{found.of_test:.3f}" if found and found.of_test else "–"
            on = FITTED_ON[known.fitted_on]
            yield f"`{model.id}`", accuracy, f"{known.temperature:.3f}", of_test, on, ece, nll


def _areas(models: Sequence[Model]) -> Iterator[Sequence[str]]:
    calibrated = [(model, model.calibration.strangeness) for model in models if model.calibration]
    kinds = _ordered(kind for _, known in calibrated for kind in known.auroc[known.method])
    yield "model", "method", "limit", "beyond", *kinds
    for model, known in calibrated:
        [other] = [method for method in METHODS if method != known.method]
        cells = [
            f"{known.auroc[known.method][kind]:.3f} ({known.auroc[other][kind]:.3f})"
            if kind in known.auroc[known.method]
            else "–"
            for kind in kinds
        ]
        beyond = "–" if known.beyond is None else f"{100 * known.beyond:.1f} %"
        yield f"`{model.id}`", known.method, f"{known.limit:.4g}", beyond, *cells


def _blind(models: Sequence[Model]) -> Iterator[str]:
    """Of what a model cannot tell that it is strange."""
    for model in models:
        if model.calibration:
            known = model.calibration.strangeness
            kinds = [kind for kind, area in known.auroc[known.method].items() if area < BLIND]
            if kinds:
                named = ", ".join(kinds)
                yield f"- `{model.id}` cannot tell its own images from {named}; of these its strangeness says little."


def _confident(record: Record) -> Iterator[Sequence[str]]:
    kinds = _ordered(kind for found in record.measurements for kind in found.confident)
    yield "model", *kinds
    for found in record.measurements:
        yield f"`{found.model}`", *(_sure(found, kind) for kind in kinds)


def _sure(found: Measurement, kind: str) -> str:
    if kind not in found.confident:
        return "–"
    before, after = (f"{100 * share:.1f} %" for share in found.confident[kind])
    return f"{before} → {after}; {100 * found.noted[kind]:.0f} % noted"


def _teams(record: Record, chosen: tuple[str, ...]) -> Iterator[Sequence[str]]:
    kinds = [TEST, *(kind for kind in record.teams[0].confident if kind != TEST)]
    yield "who names", "accuracy", *kinds
    for team in record.teams:
        names = " and ".join(f"`{member}`" for member in team.members)
        cells = (f"{100 * team.confident[kind]:.1f} %" for kind in kinds)
        marked = f"**{names}**" if set(team.members) == set(chosen) else names
        yield marked, f"{100 * team.accuracy:.2f} %", *cells


def _ordered(names: Iterator[str]) -> list[str]:
    """Each once, as they come."""
    return list(dict.fromkeys(names))
