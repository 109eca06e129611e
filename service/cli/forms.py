"""`chapterhouse models forms`: what a classifier is worth in each form that this machine can compute, for its card."""

from contextlib import suppress
from typing import Annotated

import typer

from service.cli.completion import models
from service.cli.reporting import fail_clearly, print_table, say
from service.errors import DatasetMissing, InvalidRequest
from service.exactness import FormName, FormScore
from service.settings import read_settings
from service.store import Model, ModelStore, write_card


@fail_clearly
def measure_forms(
    model_id: Annotated[
        str, typer.Argument(metavar="ID", help="A trained classifier of the store.", autocompletion=models)
    ],
    images: Annotated[
        int | None, typer.Option(min=100, help="The first so many test images; all of them unless given.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the processor.")] = 1,
) -> None:
    """Measure a classifier's accuracy in every form, and how often it agrees with the plain one; write its card.

    Only forms that stand on the card are ever chosen. Those on it that this machine cannot compute stay as they are.
    For `int8` a few images of the training set, if that is here, are kept beside the model, unless some are.
    """
    import torch

    from service.datasets.registry import find_dataset
    from service.forms.form import Place
    from service.forms.quantised import is_possible
    from service.forms.training_images import keep_training_images
    from service.nets.arithmetic import compute_exactly
    from service.scoring.forms import measure_forms as measure

    settings = read_settings()
    model = ModelStore.of(settings).get(model_id, task="classify")
    if model.card is None:
        raise InvalidRequest(f"{model_id} has no card to write on: it has not been trained.")
    torch.set_num_threads(threads)
    compute_exactly()
    dataset, place = find_dataset(model.manifest.dataset), Place("cpu", threads)
    if is_possible(place):
        with suppress(DatasetMissing):  # that there is no such form is said below
            keep_training_images(model, lambda: dataset.load(settings.data, "train").images)
    test = dataset.load(settings.data, "test")
    found = dict(measure(model, test.first(images or len(test)), place))
    _write(model, {name: score for name, score in found.items() if isinstance(score, FormScore)}, set(found))
    rows = [
        (name, f"{100 * score.accuracy:.2f} %", f"{100 * score.agreement:.2f} %", f"{score.apart:.2g}", "")
        if isinstance(score, FormScore)
        else (name, "–", "–", "–", f"must not serve: {score}")
        for name, score in found.items()
    ]
    print_table(("form", ">accuracy", ">agreement", ">apart", ""), rows)
    say(f"{model.id} {model.version}  {found['plain'].on if isinstance(found['plain'], FormScore) else ''}")


def _write(model: Model, scores: dict[FormName, FormScore], measured: set[FormName]) -> None:
    """Put scores on the card, in the place of those that were measured before."""
    assert model.card is not None, "there is one to write on"
    kept = {name: score for name, score in model.card.forms.items() if name not in measured}
    write_card(model.card.model_copy(update={"forms": {**scores, **kept}}), model.folder / "card.json")
