"""`chapterhouse generate`: new pictures of a seed, into a file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer

from service.cli.places import ServerOption, place_of
from service.cli.reporting import fail_clearly, say
from service.errors import InvalidRequest
from service.schemas import SEED_LIMIT, GenerateRequest

Format = Literal["png", "zip", "npz"]
FORMATS: dict[str, Format] = {".npz": "npz", ".png": "png", ".zip": "zip"}


@fail_clearly
def generate(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Where to: .png is one grid, .zip holds PNG files, .npz `images` uint8 (N, H, W, C)."
        ),
    ],
    model: Annotated[str | None, typer.Argument(help="A generator; the default one unless given.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 16,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=SEED_LIMIT, help="Image i of a seed is always the same; drawn, and told, unless given."
        ),
    ] = None,
    server: ServerOption = None,
) -> None:
    """Draw images and write them to a file, whole or not at all."""
    from service.cli.progress import Meter

    if output.suffix.lower() not in FORMATS:
        raise InvalidRequest(f"{output} ends in none of {', '.join(FORMATS)}, which say what to write.")
    request = GenerateRequest(model=model, count=count, seed=seed, format=FORMATS[output.suffix.lower()])
    with place_of(server) as place, whole_file(output) as file, Meter(output.name) as meter:
        drawn = place.generate(request, _Metered(file, meter.show_bytes))
    images = "1 image" if count == 1 else f"{count:,} images"
    say(f"{output}  {images} of {drawn.model} {drawn.version}, seed {drawn.seed}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole, and leaves nothing behind when it never is."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.staged")
    try:
        with staged.open("wb") as file:
            yield file
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


class _Metered:
    """A file that tells how many bytes it has taken."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._tell(self._file.tell())
