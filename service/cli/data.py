"""`chapterhouse data`: the datasets, from their publishers to this machine."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.completion import datasets
from service.cli.reporting import fail_clearly, say
from service.files import show
from service.settings import read_settings

if TYPE_CHECKING:
    from service.cli.progress import Meter
    from service.datasets.publication import Dataset

app = typer.Typer(help="Datasets for training and for references.", no_args_is_help=True)


@app.command("list")
@fail_clearly
def list_datasets() -> None:
    """List the datasets, and which of them are here."""
    from service.datasets.registry import DATASETS

    folder = read_settings().data
    say(f"Datasets are looked for in {folder} (CHAPTERHOUSE_DATA_DIR).")
    for name, dataset in DATASETS.items():
        here = sum((folder / name / file.name).is_file() for file in dataset.files)
        missing = len(dataset.files) - here
        say(f"{name}  {'here' if not missing else f'{missing} of {len(dataset.files)} files missing'}")


@app.command("fetch")
@fail_clearly
def fetch(
    name: Annotated[
        str, typer.Argument(help="A dataset, as `chapterhouse data list` calls it.", autocompletion=datasets)
    ],
    force: Annotated[bool, typer.Option("--force", help="Download also what is here already.")] = False,
) -> None:
    """Download a dataset from its publisher; a file that is not what was published is not kept."""
    from service.datasets.fetch import fetch as download
    from service.datasets.registry import find_dataset

    dataset, folder = find_dataset(name), read_settings().data
    with Meters() as meters:
        paths = _download_anew(dataset, folder, meters) if force else download(dataset, folder, report=meters.show)
    for path in paths:
        say(f"{path}  {path.stat().st_size:,} bytes")


def _download_anew(dataset: "Dataset", folder: Path, meters: "Meters") -> list[Path]:
    """Download all files again, and replace those that are here once all have come."""
    from service.datasets.fetch import fetch as download

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{dataset.name}-", dir=folder) as directory:
        new = download(dataset, Path(directory), report=meters.show)
        (folder / dataset.name).mkdir(exist_ok=True)
        there = [folder / dataset.name / path.name for path in new]
        for path, place in zip(new, there, strict=True):
            show(path, place)
        return there


class Meters(ExitStack):
    """A meter for the file that is coming."""

    def __init__(self) -> None:
        super().__init__()
        self._meter: Meter | None = None
        self._name = ""

    def show(self, name: str, received: int, total: int | None) -> None:
        """Say how much of a file has come."""
        from service.cli.progress import Meter

        if self._meter is None or name != self._name:
            self.close()
            self._name, self._meter = name, self.enter_context(Meter(name))
        self._meter.show_bytes(received, total)
