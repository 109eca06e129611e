"""`chapterhouse models units`: the test images to which each unit of a classifier answers most, looked for once."""

from typing import Annotated

import typer

from service.cli.completion import models
from service.cli.reporting import fail_clearly, print_table, say
from service.settings import read_settings
from service.store import ModelStore


@fail_clearly
def find_units(
    model_id: Annotated[
        str, typer.Argument(metavar="ID", help="A trained classifier of the store.", autocompletion=models)
    ],
    beside_weights: Annotated[
        bool, typer.Option("--beside-weights", help="Write them beside the weights, not into the state directory.")
    ] = False,
) -> None:
    """Look for the test images to which each unit of a classifier answers most, for `GET /models/{id}/units`."""
    from service.cli.progress import Meter
    from service.datasets.registry import find_dataset
    from service.operations.strongest import FILE, made_path
    from service.scoring.units import look_for_strongest

    settings = read_settings()
    model = ModelStore.of(settings).get(model_id, task="classify")
    test = find_dataset(model.manifest.dataset).load(settings.data, "test")
    path = model.folder / FILE if beside_weights else made_path(settings, model.id)
    with Meter(model_id) as meter:
        found = look_for_strongest(model, test, path, on_progress=meter.show_share)
    say(f"{found.model} {found.version}  {found.images:,} images of {found.dataset}  {path}")
    rows = [
        (
            layer.name,
            f"{layer.units:,}",
            "×".join(map(str, layer.size)),
            "×".join(map(str, layer.field_within(model.input.size))),
        )
        for layer in found.layers
    ]
    print_table(("layer", ">units", ">maps", ">see"), rows)
