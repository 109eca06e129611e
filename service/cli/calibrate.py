"""`chapterhouse calibrate`: a classifier's temperature, found on images it has not seen, and what is strange to it."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from service.calibration import Calibration, FittedOn
from service.cli.completion import models
from service.cli.reporting import fail_clearly, say
from service.errors import InvalidRequest
from service.settings import Settings, read_settings
from service.store import Model, ModelStore, write_card

if TYPE_CHECKING:
    from service.datasets.publication import Dataset
    from service.scoring.calibration import Fitted


@fail_clearly
def calibrate(
    model_id: Annotated[
        str, typer.Argument(help="A trained classifier of the store, such as lenet5-mnist.", autocompletion=models)
    ],
    on: Annotated[
        FittedOn,
        typer.Option(
            help="What the temperature is fitted on: training images that a twin has not seen, or, where a twin takes"
            " too long, the test images, each half measured at the temperature of the other."
        ),
    ] = "twin",
    images: Annotated[
        int | None,
        typer.Option(min=1, help="The last so many training images are what a twin does not see; 5000 unless given."),
    ] = None,
    threads: Annotated[int, typer.Option(help="Torch threads of the twin's training.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train the twin: cpu, cuda:0, …")] = "cpu",
) -> None:
    """Fit a classifier's temperature on images that it, or a twin trained without them, has not seen; write its card.

    A twin's training that was stopped goes on, and one that is done is not repeated. The weights stay as they are.
    """
    settings = read_settings()
    model = ModelStore.of(settings).get(model_id, task="classify")
    if on == "test-halves" and images is not None:
        raise InvalidRequest("--images counts what a twin does not see; without a twin all test images count.")
    twin = _twin_of(model, settings, images, threads, device) if on == "twin" else None
    if model.card is None:
        raise InvalidRequest(f"{model_id} has no card to write on: it has not been trained.")
    calibration = asyncio.run(_measure(settings, model, twin))
    write_card(model.card.model_copy(update={"calibration": calibration}), model.folder / "card.json")
    say(f"{model_id}  temperature {calibration.temperature:.4g}  {summary(calibration)}")


def summary(calibration: Calibration) -> str:
    """What the temperature changes, and how well strange images are told, in words."""
    known = calibration.strangeness
    areas = ", ".join(f"{kind} {area:.3f}" for kind, area in known.auroc[known.method].items())
    return (
        f"ECE {calibration.ece.before:.4f} → {calibration.ece.after:.4f}"
        f"  NLL {calibration.nll.before:.4f} → {calibration.nll.after:.4f}"
        f"  AUROC of the {known.method}: {areas}"
    )


def _twin_of(model: Model, settings: Settings, images: int | None, threads: int, device: str) -> Model:
    from service.training.twin import WITHHELD, train_twin

    return train_twin(
        model,
        settings.twins_dir,
        data_dir=settings.data,
        store=ModelStore(settings.twins_dir, settings.added_models_dir, settings.shipped_models_dir),
        withheld=images or WITHHELD,
        threads=threads,
        device=device,
    )


async def _measure(settings: Settings, model: Model, twin: Model | None) -> Calibration:
    from service.datasets.registry import find_dataset
    from service.runtime.in_process import LocalEngine
    from service.scoring.calibration import calibrate as measure

    dataset = find_dataset(model.manifest.dataset)
    test = dataset.load(settings.data, "test")
    fitted = None if twin is None else await _fit(twin, dataset, settings)
    async with LocalEngine(ModelStore(model.folder.parent), threads=1) as engine:
        return await measure(model, engine, test=test, settings=settings, fitted=fitted)


async def _fit(twin: Model, dataset: "Dataset", settings: Settings) -> "Fitted":
    """Through an engine of its own: model and twin have one id."""
    from service.runtime.in_process import LocalEngine
    from service.scoring.calibration import fit_on_twin

    assert twin.card is not None, "a twin that was trained has a card"
    _, unseen = dataset.load(settings.data, "train").divide(twin.card.recipe["withheld"])
    async with LocalEngine(ModelStore(twin.folder.parent), threads=1) as engine:
        return await fit_on_twin(twin, engine, unseen)
