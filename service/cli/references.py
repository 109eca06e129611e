"""`chapterhouse references`: the stored reference sets."""

import asyncio
from typing import Annotated

import typer

from service.cli.completion import datasets, models
from service.cli.reporting import fail_clearly, say
from service.settings import Settings, read_settings
from service.store import ModelStore

app = typer.Typer(help="Reference sets that evaluations compare with.", no_args_is_help=True)


@app.command("list")
@fail_clearly
def list_references() -> None:
    """List the stored references."""
    from service.evaluation.shared_references import references_of
    from service.storage.opening import open_storage

    settings = read_settings()
    store = references_of(settings, open_storage(settings))
    for name in store.names():
        kept = store.describe(name)
        count = "statistics" if kept.count is None else f"{kept.count:,} samples"
        say(f"{name}  {count} of {kept.dataset}  {kept.extractor} {kept.weights_sha256[:12]}".rstrip())


@app.command("make")
@fail_clearly
def make(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    dataset: Annotated[str, typer.Option(help="The dataset whose test images it holds.", autocompletion=datasets)],
    features: Annotated[str, typer.Option(help="The extractor that looks at them.", autocompletion=models)],
) -> None:
    """Extract the features of a dataset's test images, and what its training images score against them."""
    path = asyncio.run(_make(read_settings(), name, dataset, features))
    say(f"{name}  {path}")


async def _make(settings: Settings, name: str, dataset: str, features: str) -> str:
    from service.datasets.registry import find_dataset
    from service.evaluation.references import save_reference
    from service.evaluation.store_reference import reference_of_images
    from service.runtime.in_process import LocalEngine

    store = ModelStore.of(settings)
    extractor = store.extractor(features)
    source = find_dataset(dataset)
    images, others = (source.load(settings.data, part).images for part in ("test", "train"))
    async with LocalEngine(store) as engine:
        reference = await reference_of_images(
            name,
            images,
            extractor,
            engine,
            dataset=f"{dataset} test",
            others=others,
            others_are=f"{dataset} train",
        )
    return str(save_reference(reference, settings.trained_models_dir / "references"))
