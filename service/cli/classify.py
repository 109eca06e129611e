"""`chapterhouse classify`: what is in the pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.completion import models
from service.cli.places import ServerOption, place_of
from service.cli.reporting import EXIT_FAILED, JSONOption, complain, fail_clearly, print_json, say
from service.errors import UnreadableImage
from service.written import read_whole

if TYPE_CHECKING:
    from service.schemas import Classification

IMAGE_MOST = 512 * 1024 * 1024
"""Bytes of a file that may be an image: those of more pixels than are decoded."""


@fail_clearly
def classify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    model: Annotated[
        str | None, typer.Option(help="A classifier; the default one unless given.", autocompletion=models)
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="How many labels of each image, likeliest first.")] = 3,
    server: ServerOption = None,
    as_json: JSONOption = False,
) -> None:
    """Name the likeliest labels of each image; exits 2 where one of them cannot be read."""
    contents = [_content(path) for path in images]
    with place_of(server) as place:
        # an empty image stands for a file that cannot be read, so that every answer keeps its place
        answer = place.classify(
            [data if isinstance(data, bytes) else b"" for data in contents], model=model, top_k=top_k
        )
    answer = _named(answer, images, contents)
    if as_json:
        print_json(answer.model_dump(mode="json", exclude_none=True))
    else:
        show(answer)
    unreadable = sum(prediction.error is not None for prediction in answer.predictions)
    if unreadable:
        complain(f"{unreadable} of {len(images)} images could not be read.")
        raise typer.Exit(EXIT_FAILED)


def show(answer: "Classification") -> None:
    """Print one line an image."""
    width = max(len(prediction.name or "") for prediction in answer.predictions)
    for prediction in answer.predictions:
        labels = "  ".join(f"{label.label} {label.probability:.1%}" for label in prediction.labels)
        words = labels if prediction.error is None else f"not read: {prediction.error['detail']}"
        say(f"{prediction.name or '':{width}}  {'  '.join((words, *prediction.notes))}")


def _content(path: Path) -> bytes | UnreadableImage:
    try:
        return read_whole(path, IMAGE_MOST)
    except OSError as error:
        return UnreadableImage(f"{error.strerror or error}.")
    except ValueError as error:
        return UnreadableImage(f"{error}.")


def _named(answer: "Classification", images: list[Path], contents: list[bytes | UnreadableImage]) -> "Classification":
    """The answer under the names of the files, with what kept a file from being opened in its place."""
    predictions = []
    for prediction, path, content in zip(answer.predictions, images, contents, strict=True):
        own = {} if isinstance(content, bytes) else {"error": content.problem()}
        predictions.append(prediction.model_copy(update={"name": str(path), **own}))
    return answer.model_copy(update={"predictions": tuple(predictions)})
