"""`chapterhouse generate`: new samples of a seed, into a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO, get_args

import typer

from service.cli.completion import models
from service.cli.places import ServerOption, place_of
from service.cli.reporting import fail_clearly, say
from service.errors import InvalidRequest
from service.files import written_whole
from service.schemas import SEED_LIMIT, SampleFormat

FORMATS: dict[str, SampleFormat] = {f".{name}": name for name in get_args(SampleFormat)}


@fail_clearly
def generate(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Where to. Images: .png is one grid, .zip holds PNG files, .npz and .npy uint8 (N, H, W, C). "
            "Points: .json, .png and .svg are a plot, .npz and .npy float32 (N, 2).",
        ),
    ],
    model: Annotated[
        str | None, typer.Argument(help="A generator; the default one unless given.", autocompletion=models)
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many samples; 16 images, 1,000 points or 4 paths unless given.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=SEED_LIMIT, help="Sample i of a seed is always the same; drawn, and told, unless given."
        ),
    ] = None,
    interpolate: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=256,
            metavar="STEPS",
            help="Draw paths of so many steps along the sphere, each a row of the grid.",
        ),
    ] = None,
    generator: Annotated[
        int | None, typer.Option(min=0, help="Of a model with several generators, the one that draws.")
    ] = None,
    server: ServerOption = None,
) -> None:
    """Draw samples and write them to a file, whole or not at all."""
    from service.cli.progress import Meter

    if output.suffix.lower() not in FORMATS:
        raise InvalidRequest(f"{output} ends in none of {', '.join(FORMATS)}, which say what to write.")
    with place_of(server) as place, written_whole(output) as file, Meter(output.name) as meter:
        drawn = place.generate_into(
            _Metered(file, meter.show_bytes),
            model,
            format=FORMATS[output.suffix.lower()],
            count=count,
            seed=seed,
            interpolate=interpolate,
            generator=generator,
        )
    samples = "1 sample" if drawn.count == 1 else f"{drawn.count:,} samples"
    say(f"{output}  {samples} of {drawn.model} {drawn.version}, seed {drawn.seed}")


class _Metered:
    """A file that tells how many bytes it has taken."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._tell(self._file.tell())
