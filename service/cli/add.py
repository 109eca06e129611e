"""`chapterhouse models add`: a file of the user's own becomes a model, or another version of one."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from service.cli.reporting import fail_clearly, say
from service.errors import ConfigurationError
from service.settings import read_settings
from service.store import ModelStore
from service.store.manifest import Resample, TaskName
from service.versions import STABLE
from service.written import of_json, read_text

WORDS = ("features", "logits", "probabilities", "samples", "forecast", "layout", "pixels")
"""The options that say what a file's outputs mean, each an option of this command."""


@fail_clearly
def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An ONNX file, a program of torch.export (.pt2), or safetensors.")
    ],
    model_id: Annotated[str, typer.Option("--id", help="What the model will be called.")],
    task: Annotated[str, typer.Option(help="classify, generate, features or forecast.")],
    version: Annotated[str, typer.Option(help="Its version; the first digits of its sha256 unless given.")] = "",
    net: Annotated[str, typer.Option(help="What weights of safetensors fill: timm:NAME or python:MODULE.CLASS.")] = "",
    labels: Annotated[
        str, typer.Option(help="Of a classifier: a file, one a line or JSON (id2label, too), or words between commas.")
    ] = "",
    preprocessor: Annotated[
        Path | None, typer.Option(help="preprocessor_config.json of Hugging Face, or config.json of timm.")
    ] = None,
    size: Annotated[str, typer.Option(help="Of images, as HEIGHTxWIDTH or one number.")] = "",
    channels: Annotated[int | None, typer.Option(help="Of images: 1 is grey, 3 is colour.")] = None,
    mean: Annotated[str, typer.Option(help="Of each channel, of pixels in [0, 1], between commas.")] = "",
    std: Annotated[str, typer.Option(help="Likewise; pixels less the mean are divided by it.")] = "",
    resize: Annotated[
        int | None, typer.Option(help="The shorter side before the middle is cut out; else the whole is squeezed.")
    ] = None,
    resample: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(Resample))}.")] = "",
    layout: Annotated[str, typer.Option(help="Of a file's images: NCHW, NHWC or flat, where it does not say.")] = "",
    features: Annotated[str, typer.Option(help="The output that has the features.")] = "",
    logits: Annotated[str, typer.Option(help="The output that has the logits.")] = "",
    probabilities: Annotated[
        str, typer.Option(help="The output that has probabilities, where there are no logits.")
    ] = "",
    samples: Annotated[str, typer.Option(help="The output of a generator.")] = "",
    forecast: Annotated[str, typer.Option(help="The output of a forecaster.")] = "",
    pixels: Annotated[str, typer.Option(help="The range of a generator's pixels: -1..1, 0..1 or 0..255.")] = "",
    latent: Annotated[int, typer.Option(help="Numbers that a sample is made of, where the file does not say.")] = 0,
    series: Annotated[str, typer.Option(help="Of a forecaster: the names of its channels, between commas.")] = "",
    options: Annotated[str, typer.Option(help="Options of a net that is built here, as JSON.")] = "",
    summary: Annotated[str, typer.Option(help="A sentence about it.")] = "",
    dataset: Annotated[str, typer.Option(help="What it was trained on.")] = "",
) -> None:
    """Copy a file into the store, once it has been asked what it takes and gives, and has answered noise."""
    from service.adding.add import add as put
    from service.adding.asking import Wishes
    from service.adding.preprocessing import read_preprocessor

    given = locals()
    chosen: TaskName | None = next((name for name in get_args(TaskName) if name == task), None)
    if chosen is None:
        raise ConfigurationError(f"--task is one of {', '.join(get_args(TaskName))}, not {task!r}.")
    said: dict[str, Any] = read_preprocessor(preprocessor) if preprocessor else {}
    said |= {"size": _size(size)} if size else {}
    said |= {word: _numbers(word, given[word]) for word in ("mean", "std") if given[word]}
    said |= {word: given[word] for word in ("channels", "resize", "resample") if given[word] not in (None, "")}
    wishes = Wishes(
        task=chosen,
        net=net,
        labels=read_labels(labels),
        input=said,
        options={**_options(options), **{word: given[word] for word in WORDS if given[word]}},
        latent=latent,
        series=_words(series),
        about={word: given[word] for word in ("summary", "dataset") if given[word]},
    )
    settings = read_settings()
    store = ModelStore.of(settings)
    model = put(store, file, model_id, wishes, state=settings.state, version=version)
    say(f"{model.name}  version {model.version} does {model.manifest.task}: {_told(model.manifest.model_dump())}")
    say(f"{model.name}  {model.folder / 'model.toml'} says so, and may be corrected")
    versions = store.versions(model.name)
    stable = versions.aliases.root[STABLE].version if versions else model.version
    if stable != model.version:
        say(f"{model.name}  {stable} answers still; `chapterhouse models alias {model.name} stable {model.version}`")


def read_labels(said: str) -> tuple[str, ...]:
    """Labels in the order of their classes, of a file or of words. Raises ConfigurationError."""
    path = Path(said)
    try:
        if not said or not path.is_file():
            if said and "," not in said:
                raise ConfigurationError(f"There is no file {said}; write labels between commas, or name a file.")
            return _words(said)
        text = read_text(path)
        return _labels_of(of_json(text)) if path.suffix == ".json" else tuple(text.rstrip().splitlines())
    except KeyError as error:
        said = f"there is no {error}, and a list, id2label, label2id or label_names is needed"
        raise ConfigurationError(f"{path} has no labels that can be read: {said}.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path} has no labels that can be read: {error}") from error


def _labels_of(said: Any) -> tuple[str, ...]:
    if isinstance(said, dict):
        numbered = {str(place): label for label, place in said.get("label2id", {}).items()}
        said = said.get("id2label", said.get("label_names", numbered or said))
    if isinstance(said, dict):
        said = [said[str(place)] for place in range(len(said))]
    if not isinstance(said, list) or not all(isinstance(label, str | int | float) for label in said):
        raise TypeError("labels are words: a list of them, id2label, label2id or label_names")
    return tuple(map(str, said))


def _words(said: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in said.split(",") if word.strip())


def _size(said: str) -> tuple[int, int]:
    try:
        height, _, width = said.lower().replace("×", "x").partition("x")
        return int(height), int(width or height)
    except ValueError:
        raise ConfigurationError(f"--size is HEIGHTxWIDTH, or one number for both, not {said!r}.") from None


def _numbers(word: str, said: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, said.split(",")))
    except ValueError:
        raise ConfigurationError(f"--{word} is a number a channel between commas, not {said!r}.") from None


def _options(said: str) -> dict[str, Any]:
    try:
        options = of_json(said or "{}")
    except ValueError as error:
        raise ConfigurationError(f"--options is a JSON object: {error}") from error
    if not isinstance(options, dict):
        raise ConfigurationError("--options is a JSON object.")
    return options


def _told(manifest: dict[str, Any]) -> str:
    """What was understood, for whoever brought the file to look at."""
    spec, labels = manifest["input"], manifest["labels"]
    parts = [f"{len(labels):,} labels ({', '.join(labels[:3])}, …)"] if labels else []
    if spec:
        size = "×".join(map(str, spec["size"]))
        parts.append(f"images {size}, {'grey' if spec['channels'] == 1 else 'colour'}, {spec['resample']}")
        parts.append(f"less {spec['mean']} over {spec['std']}")
    parts += [f"{name} {value}" for name in ("output", "points", "series") if (value := manifest[name])]
    return ", ".join([*parts, *(f"{name} {value}" for name, value in manifest["options"].items())])
