"""docs/forms.md from the cards and the measurements."""

from collections.abc import Iterator

from experiments.forms.record import Record, Timings
from service.exactness import LOST_AT_MOST, PLAIN, FormScore, Precision
from service.forms.choosing import WORTH, choose, gain, is_precise_enough, loses_little
from service.forms.held_out import COUNT
from service.forms.registry import FORMS
from service.forms.training_images import COUNT as TRAINING_IMAGES
from service.forms.verifying import BOUNDS
from service.store import Card, Model, ModelStore

SIZES = (1, 64)
"""Rows of the batches that are timed: one request alone, and as many as wait under load."""
USUAL: Precision = "bfloat16"
"""The least precise form that a service takes of itself unless it is told otherwise."""
HEAD = f"""# Forms: the same labels, faster

Written by `python -m experiments.forms` from the cards of the models and from what it measures; the measurements
lie in [forms.json](forms.json), and `--render` writes this page from them and the cards alone.

A classifier's answers can be computed in more than one way. The **plain** form is the net as its file and its
manifest make it, in float32. Everything that is kept or compared is computed in it and in nothing else: the
features and probabilities of `/evaluate`, stored references, `/generate`, `/explain`, the scores of cards, the
temperature of calibrated probabilities. Labels that somebody waits for (`/classify`) may come from another form,
and say so: `X-Model-Form`.

| form | what it is | precision | needs |
|---|---|---|---|
| `plain` | the net itself | float32 | |
| `folded` | batch normalisation, and LeNet-5's constants, within the weights; channels last | float32 | |
| `traced` | the folded one, recorded once and run without Python | float32 | a CPU |
| `onnxruntime` | the folded one, exported | float32 | a CPU; `pip install 'chapterhouse[onnx]'` |
| `openvino` | the folded one, compiled for the processor | float32 | a CPU; `pip install 'chapterhouse[openvino]'` |
| `tf32` | the folded one, its products in TF32 | TF32, allowed where bfloat16 is | a GPU |
| `bfloat16` | the folded one in bfloat16 | bfloat16 | AMX, avx512_bf16 or a GPU |
| `openvino-bfloat16` | the compiled one in bfloat16 | bfloat16 | both |
| `int8` | the exported one in whole numbers of 8 bits | int8 | AMX or VNNI; `pip install 'chapterhouse[onnx]'` |

## Which one serves

A model serves in its plain form as soon as it is loaded. While nobody waits the engine measures the forms that
may serve, a short forward pass at a time, each of which waits until nothing has come for a second; then the
fastest takes over between two batches, if it is at least {WORTH} times as fast as the plain one (the mean over
batches of 1, 8 and 64, as far as one takes no longer than a tenth of a second).

What was measured lies in the state directory, under `forms/`, for this kind of processor, number of threads,
versions of packages and sha256 of the weights. One engine measures, and all engines read it: after a restart they
serve in that form from the first answer on. A form that fails on a batch is dropped, and the plain one answers;
one of which the process died twice is not tried again.

A form may serve only if

- the model's **card** has it, with an accuracy no more than {100 * LOST_AT_MOST:.1g} point below the plain one.
  `chapterhouse models forms ID` measures all that a machine can compute on the test set and writes the card; a
  model without that stays plain;
- the **precision** of the manifest (`[serving] precision`, `bfloat16` unless it says otherwise) and that of
  `CHAPTERHOUSE_PRECISION` (`bfloat16`, too) allow it: int8 serves only where both say so;
- it has been **verified** in this very process: on {{images}} held-out images of the dataset
  (`models_store/held-out`) its probabilities are compared with those of the plain one, each time it is made.

| precision | ½ Σ \\|p − q\\| on average | at most | same label |
|---|---|---|---|
{{bounds}}

Verification is no formality. torch's exporter drops the divisor of an average pool in silence: LeNet-5, exported
as it is published, averages where it should sum, names 36 % of the digits, and looks well in every other respect.
That export is refused (`tests/forms/test_verifying.py`); what is exported here has the sums as convolutions.

**int8** takes the range of every map from {{training}} training images of the dataset (`models_store/training-images`;
beside a model of your own `chapterhouse models forms` puts those of the data directory), each time it is made, which
takes some seconds. Without such images it is not served, and the log says so. Its probabilities differ most, so that
the verdict on a form is the card's: accuracy on the whole test set, and agreement.

`CHAPTERHOUSE_FORM=plain` keeps every net as it is, and a form's name sets it for all models; it is verified too,
and where it cannot be made or does not pass, the plain one serves and the log says why.

Probabilities stay calibrated: the temperature divides logits that agree, and *apart* below is what it makes of
their difference, the mean over the test images of ½ Σ |p − q|. In float32 it is rounding, in bfloat16 a fraction
of a point, in int8 a point or more. `strangeness` comes of the same logits, and its note may come or go only at the
limit itself. A label changes only where two classes were as good as equal; in int8 where they were near.

## Measured
"""


def classifiers(store: ModelStore) -> list[Model]:
    """Those that ship with weights."""
    models = (store.get(model_id) for model_id in store.ids())
    return [model for model in models if model.manifest.task == "classify" and model.card is not None]


def render(models: list[Model], record: Record) -> str:
    """The whole page."""
    bounds = (f"| {name} | {b.mean:g} | {b.largest:g} | {100 * b.agreement:g} % |" for name, b in BOUNDS.items())
    head = HEAD.format(images=COUNT, training=TRAINING_IMAGES, bounds="\n".join(bounds))
    return "\n".join([head, *_machines(record), *_table(models, record), *_alone(models)]) + "\n"


def _machines(record: Record) -> Iterator[str]:
    for machine, threads in sorted({(found.machine, found.threads) for found in record.timings}):
        [packages, *_] = [found.packages for found in record.timings if found.machine == machine]
        versions = ", ".join(f"{name} {number}" for name, number in packages.items())
        yield f"On {machine}, {threads} thread{'s' if threads > 1 else ''}; {versions}."
    yield (
        "Images a second in batches of 1 and of 64, from stored pixels to logits, by the processor's time on one thread"
        " (the least of three rounds), so that what else the machine did counts for little; *gain* is the geometric"
        " mean of both beside the plain form. In bold: what would be chosen here"
        " unless int8 is allowed.\n"
    )


def _table(models: list[Model], record: Record) -> Iterator[str]:
    yield "| model | form | images/s, 1 | images/s, 64 | gain | accuracy | agreement | apart |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in models:
        timings = record.find(model.id)
        if model.card is not None and timings is not None and len(model.card.forms) > 1:
            yield from _rows(model, model.card, timings)


def _rows(model: Model, card: Card, timings: Timings) -> Iterator[str]:
    precise = [name for name in FORMS if name in card.forms and is_precise_enough(name, model, USUAL)]
    names = [name for name in precise if loses_little(card, name)]
    chosen = choose(timings.seconds, names)
    for name in (PLAIN, *FORMS):
        if name in card.forms and name in timings.seconds:
            taken, score = timings.seconds[name], card.forms[name]
            shown = f"**{name}**" if name == chosen else name
            lost = "" if name == PLAIN or loses_little(card, name) else ", loses too much"
            speeds = " | ".join(f"{rows / taken[rows]:,.0f}" for rows in SIZES)
            times = gain(timings.seconds[PLAIN], taken)
            yield f"| `{model.id}` | {shown}{lost} | {speeds} | {times:.2f} | {_scores(score)} |"


def _scores(score: FormScore) -> str:
    return f"{100 * score.accuracy:.2f} % | {100 * score.agreement:.2f} % | {score.apart:.1e}"


def _alone(models: list[Model]) -> Iterator[str]:
    """The models that have no other form, and on how many images the others were measured."""
    alone = [f"`{model.id}`" for model in models if model.card is not None and len(model.card.forms) <= 1]
    if alone:
        yield f"\n{' and '.join(alone)} read their images step by step, and have no other form."
    measured = {score.on for model in models if model.card is not None for score in model.card.forms.values()}
    yield f"\nAccuracy, agreement and *apart*: {', '.join(sorted(measured))}, as the cards say."
