"""`chapterhouse calibrate`: a classifier's temperature, found on a twin, and what is strange to it."""

import asyncio
from typing import Annotated

import typer

from service.calibration import Calibration
from service.cli.reporting import fail_clearly, say
from service.settings import Settings, read_settings
from service.store import Model, ModelStore, write_card


@fail_clearly
def calibrate(
    model_id: Annotated[str, typer.Argument(help="A trained classifier of the store, such as lenet5-mnist.")],
    images: Annotated[
        int, typer.Option(min=1, help="The last so many training images are what the temperature is fitted on.")
    ] = 5000,
    threads: Annotated[int, typer.Option(help="Torch threads of the twin's training.")] = 1,
    device: Annotated[str, typer.Option(help="Where to train the twin: cpu, cuda:0, …")] = "cpu",
) -> None:
    """Train a classifier's twin without some images, fit the temperature on these, and write it on the card.

    A twin's training that was stopped goes on, and one that is done is not repeated. The weights stay as they are.
    """
    from service.training.twin import train_twin

    settings = read_settings()
    store = ModelStore(settings.twins_dir, settings.added_models_dir, settings.shipped_models_dir)
    model = ModelStore.of(settings).get(model_id, task="classify")
    twin = train_twin(
        model,
        settings.twins_dir,
        data_dir=settings.data,
        store=store,
        withheld=images,
        threads=threads,
        device=device,
    )
    calibration = asyncio.run(_measure(settings, model, twin, images))
    assert model.card is not None, "what has a twin has a card"
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


async def _measure(settings: Settings, model: Model, twin: Model, images: int) -> Calibration:
    """Both nets through an engine each: they have one id."""
    from service.datasets.registry import find_dataset
    from service.runtime.in_process import LocalEngine
    from service.scoring.calibration import calibrate as measure
    from service.scoring.calibration import fit_on_twin

    dataset = find_dataset(model.manifest.dataset)
    _, withheld = dataset.load(settings.data, "train").divide(images)
    test = dataset.load(settings.data, "test")
    async with LocalEngine(ModelStore(twin.folder.parent), threads=1) as engine:
        fitted = await fit_on_twin(twin, engine, withheld)
    async with LocalEngine(ModelStore(model.folder.parent), threads=1) as engine:
        return await measure(model, fitted, engine, seen=withheld, test=test, settings=settings)
