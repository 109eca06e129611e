"""A file is asked what it takes and gives; what it does not say, whoever brings it does. Of both a manifest is made."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from service.adding.kinds import Kind
from service.adding.preprocessing import of_timm
from service.errors import ConfigurationError, InvalidManifest, reason_of
from service.nets.foreign import Foreign, Port
from service.nets.outside import RAISED, TIMM
from service.nets.registry import open_net
from service.store.manifest import FILES, SIDE_MOST, Manifest, Serving, TaskName
from service.tasks.registry import TASKS

PROBED = 2
"""Rows of the noise by which a net is tried."""
SUM_OFF = 1e-3
"""Rows that add up to 1 within this, and have nothing below 0, are probabilities."""
LATENT_MOST = 65_536
CLASSES_MOST = 200_000
NAMED: dict[str, tuple[str, ...]] = {
    "features": ("features", "embedding", "embeddings", "image_embeds", "pooler_output"),
    "logits": ("logits", "scores"),
    "probabilities": ("probabilities", "probability", "output_probability", "probs"),
    "samples": ("samples", "images", "image"),
    "forecast": ("forecast", "prediction"),
}
"""What people call such outputs."""
AXES = {"forecast": (2, 3)}
"""Of an output, where they are not 2 or 4: vectors, images or maps."""
CHANNELS = (1, 3)
IMAGES = "size and what else is of images"
USED: dict[TaskName, frozenset[str]] = {
    "classify": frozenset({"labels", "features", "logits", "probabilities", "layout", IMAGES}),
    "features": frozenset({"features", "layout", IMAGES}),
    "forecast": frozenset({"forecast", "series"}),
    "generate": frozenset({"samples", "layout", "pixels", "latent"}),
}
"""Which of all that may be said of a file means something for each task."""
ALL_USED = frozenset().union(*USED.values())
BYTE = 1 / 255
MUCH = 2**25
"""Numbers that a block of images may hold, 128 MiB in single precision: what a net makes of them is many times that."""


@dataclass(frozen=True)
class Wishes:
    """What whoever brings a file says of it; empty where the file is to say it."""

    task: TaskName
    net: str = ""
    labels: tuple[str, ...] = ()
    input: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    latent: int = 0
    series: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)


def manifest_of(file: Path, kind: Kind, wishes: Wishes) -> dict[str, Any]:
    """The words of a manifest for a file that has been tried with it. Raises ConfigurationError, InvalidFile."""
    _check_words(wishes)
    net = wishes.net or (kind if kind in FILES else "")
    if (kind in FILES) != (net in FILES) or not net:
        raise ConfigurationError(
            f"{file.name} is {'the net itself; --net is for weights' if kind in FILES else 'weights alone'}."
            " Weights of safetensors need --net timm:NAME or --net python:MODULE.CLASS; other files need none."
        )
    written: dict[str, Any] = {
        "net": net,
        "task": wishes.task,
        "chapter": 0,
        "paper": "none",
        "summary": f"Added from {file.name}.",
        "dataset": "the user's own",
        **wishes.about,
        "options": _options_of(net, wishes),
    }
    opened = open_net(net, written["options"], file)
    written |= ASKING[wishes.task](opened, wishes, written["options"])
    manifest = _valid(written)
    _try(open_net(net, manifest.options, file), manifest)
    return written


def _check_words(wishes: Wishes) -> None:
    """Raise ConfigurationError where something was said that a model of this task has no use for."""
    said = {**wishes.options, "latent": wishes.latent, "series": wishes.series, "labels": wishes.labels}
    said |= {IMAGES: wishes.input}
    used = USED[wishes.task]
    if unused := [word for word, value in said.items() if value and word in ALL_USED - used]:
        raise ConfigurationError(f"A model that does {wishes.task} has no use for --{', --'.join(unused)}.")


def _options_of(net: str, wishes: Wishes) -> dict[str, Any]:
    """The options of a net; of timm's how many classes, where labels say it."""
    classes = {"num_classes": len(wishes.labels)} if net.startswith(TIMM) and wishes.labels else {}
    return {**classes, **wishes.options}


def _valid(written: dict[str, Any]) -> Manifest:
    try:
        return Manifest.model_validate(written)
    except ValidationError as error:
        raise InvalidManifest(f"What was said does not fit together: {reason_of(error)}") from error


def _ask_classifier(net: nn.Module, wishes: Wishes, options: dict[str, Any]) -> dict[str, Any]:
    spec = _input_of(net, wishes, options)
    classes = _classes_of(net, spec, options) if isinstance(net, Foreign) else _probed(net, spec).shape[1]
    if isinstance(net, Foreign) and "features" not in options and (name := _called("features", net)):
        options["features"] = name
    shown = {} if isinstance(net, Foreign) or _shows_features(net) else {"has_features": False}
    if not 2 <= classes <= CLASSES_MOST:
        raise ConfigurationError(
            f"The net answers {classes:,} numbers for an image; a classifier has 2 to {CLASSES_MOST:,} classes."
        )
    labels = wishes.labels or tuple(map(str, range(classes)))
    if len(labels) != classes:
        raise ConfigurationError(f"There are {len(labels):,} labels, and the net knows {classes:,} classes.")
    return {"labels": list(labels), **shown, "input": spec, **_serving_of(_numbers_in(spec))}


def _ask_extractor(net: nn.Module, wishes: Wishes, options: dict[str, Any]) -> dict[str, Any]:
    spec = _input_of(net, wishes, options)
    if isinstance(net, Foreign):
        options["features"] = options.get("features") or _called("features", net) or _only(net, "features")
    elif not _shows_features(net):
        raise ConfigurationError("The net shows no features: it has neither `see` nor `features` and `head`.")
    return {"input": spec, **_serving_of(_numbers_in(spec))}


def _shows_features(net: nn.Module) -> bool:
    return hasattr(net, "see") or (hasattr(net, "features") and hasattr(net, "head"))


def _ask_generator(net: nn.Module, wishes: Wishes, options: dict[str, Any]) -> dict[str, Any]:
    latent = wishes.latent
    if isinstance(net, Foreign):
        latent = latent or math.prod(size or 0 for size in net.given.shape[1:])
        options["samples"] = options.get("samples") or _called("samples", net) or _only(net, "samples")
        net.understand(options)
        shape = next(port for port in net.answered if port.name == options["samples"]).shape
        if len(shape) == 4 and _layout(shape) == "NHWC":
            options.setdefault("layout", "NHWC")
    if not 1 <= latent <= LATENT_MOST:
        raise ConfigurationError("Say with --latent how many numbers a sample is made of; the file does not.")
    drawn = _answer(_reopened(net, options), torch.randn(PROBED, latent), f"latents of {latent}")
    if drawn.ndim == 4 and drawn.shape[1] in CHANNELS:
        output = {"size": list(drawn.shape[2:]), "channels": drawn.shape[1], "latent": latent}
        return {"output": output, **_serving_of(_numbers_in(output))}
    if tuple(drawn.shape[1:]) == (2,):
        return {"points": {"latent": latent}}
    raise ConfigurationError(
        f"A sample is {list(drawn.shape[1:])}; images of 1 or 3 channels are needed, or points of 2."
    )


def _ask_forecaster(net: nn.Module, wishes: Wishes, options: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(net, Foreign):
        raise ConfigurationError("A forecaster of your own is a file of ONNX or of torch.export.")
    options["forecast"] = options.get("forecast") or _called("forecast", net) or _only(net, "forecast")
    window = net.given.shape[1] if len(net.given.shape) in (2, 3) else None
    channels = net.given.shape[2] if len(net.given.shape) == 3 else 1
    if not window or not channels:
        raise ConfigurationError(
            "A forecaster takes windows of one length, [rows, steps, channels] or [rows, steps];"
            f" not {net.given.told()}."
        )
    names = wishes.series or tuple(f"channel {place}" for place in range(1, channels + 1))
    if len(names) != channels:
        raise ConfigurationError(f"There are {len(names)} names of channels, and the net takes {channels}.")
    series = {"channels": list(names), "washout": window, "context": max(2000, window + 1)}
    return {"series": series, "serving": {"block": 1}}


def _try(net: nn.Module, manifest: Manifest) -> None:
    """Ask every verb that it will be asked, of one row and of several. Raises ConfigurationError where one fails."""
    for verb, task in TASKS.items():
        if not (task.warmed and task.serves(manifest)):
            continue
        for rows in (1,) if manifest.task == "forecast" else (1, 3):
            given = [torch.zeros(shape, dtype=getattr(torch, dtype)) for shape, dtype in task.example(manifest, rows)]
            try:
                with torch.inference_mode():
                    outputs = task.forward(net, given, manifest)
                wrong = [list(output.shape) for output in outputs if len(output) != rows]
            except RAISED as error:
                why = f"{type(error).__name__}: {str(error).strip()[:300]}"
                raise ConfigurationError(f"The net cannot {verb} {rows} at a time: {why}") from error
            if wrong:
                raise ConfigurationError(f"The net answers {rows} rows with {wrong}; one answer a row is needed.")


ASKING: dict[TaskName, Callable[[nn.Module, Wishes, dict[str, Any]], dict[str, Any]]] = {
    "classify": _ask_classifier,
    "features": _ask_extractor,
    "forecast": _ask_forecaster,
    "generate": _ask_generator,
}


def _input_of(net: nn.Module, wishes: Wishes, options: dict[str, Any]) -> dict[str, Any]:
    """`[input]`: what was said of it, and what the file says itself; images are taken to be in [0, 1] else."""
    spec = {**_said_by_timm(net, wishes), **wishes.input}
    if spec.get("channels") not in (*CHANNELS, None):
        raise ConfigurationError(f"Images have 1 or 3 channels, not {spec['channels']}.")
    channels, means = spec.pop("channels", None), len(spec.get("mean", ())) or None
    if isinstance(net, Foreign):
        size, found = _images_of(net.given, spec.get("size"), channels or means, options)
        channels = channels or found
        spec.setdefault("size", size)
    if not spec.get("size") or not all(spec["size"]):
        raise ConfigurationError("Say with --size or --preprocessor how large images are; the file does not.")
    if not all(1 <= side <= SIDE_MOST for side in spec["size"]):
        raise ConfigurationError(f"Images of {spec['size']} cannot be; a side has 1 to {SIDE_MOST} pixels.")
    channels = channels or means or CHANNELS[-1]
    spec["size"] = list(spec["size"])
    whole = isinstance(net, Foreign) and not (net.given.dtype or torch.float32).is_floating_point
    return {
        **spec,
        "channels": channels,
        "mean": list(spec.get("mean", [0.0] * channels)),
        "std": list(spec.get("std", [BYTE if whole and "mean" not in spec else 1.0] * channels)),
    }


def _said_by_timm(net: nn.Module, wishes: Wishes) -> dict[str, Any]:
    """What timm says of its own nets' images. Raises ConfigurationError where that is not done here, nor replaced."""
    said = getattr(net, "pretrained_cfg", None) if wishes.net.startswith(TIMM) else None
    try:
        return of_timm(said) if said else {}
    except (ValueError, TypeError, KeyError) as error:
        if {"size", "mean", "std"} <= wishes.input.keys():
            return {}
        raise ConfigurationError(f"Say with --preprocessor what images become; of timm's way {error}.") from error


def _numbers_in(spec: dict[str, Any]) -> int:
    return int(spec["channels"] * math.prod(spec["size"]))


def _serving_of(numbers: int) -> dict[str, Any]:
    """`[serving]` of a model that has so many numbers for a row: smaller blocks than usual where those are large."""
    usual = Serving()
    block = max(1, min(usual.block, MUCH // numbers))
    return {} if block == usual.block else {"serving": {"max_batch": min(usual.max_batch, block), "block": block}}


def _images_of(
    given: Port, said: Sequence[int] | None, channels: int | None, options: dict[str, Any]
) -> tuple[Sequence[int | None] | None, int | None]:
    """Height and width, and channels of the images that a file takes, as far as it says so; its layout into options."""
    shape = given.shape
    if len(shape) == 2:
        options.setdefault("layout", "flat")
        return _folded(shape[1], said, channels)
    if len(shape) != 4:
        raise ConfigurationError(
            f"Images are [rows, channels, height, width], in another order, or flat; not {given.told()}."
        )
    layout = options.setdefault("layout", _layout(shape))
    first = shape[1:] if layout == "NCHW" else (shape[3], *shape[1:3])
    if first[0] not in (*CHANNELS, None):
        raise ConfigurationError(f"Images have 1 or 3 channels; the file takes {given.told()}. Is --layout right?")
    return first[1:], first[0]


def _layout(shape: Sequence[int | None]) -> str:
    return "NHWC" if shape[3] in CHANNELS and shape[1] not in CHANNELS else "NCHW"


def _folded(
    numbers: int | None, said: Sequence[int] | None, channels: int | None
) -> tuple[Sequence[int] | None, int | None]:
    """The sides and channels of flat images: as was said, else square and grey, else square and coloured."""
    if said is not None:
        return said, channels or (None if numbers is None else numbers // math.prod(said))
    for count in (channels,) if channels else CHANNELS:
        side = math.isqrt((numbers or 0) // count)
        if side and side * side * count == numbers:
            return (side, side), count
    return None, channels


def _classes_of(net: Foreign, spec: dict[str, Any], options: dict[str, Any]) -> int:
    """How many classes a file knows; which output knows them, and whether by logits or probabilities, into options."""
    if not (options.get("logits") or options.get("probabilities")):
        kind, name = _output_of_classes(net, options)
        options[kind or "logits"] = name
        if not kind and _are_probabilities(_probed(_reopened(net, options), spec)):
            options["probabilities"] = options.pop("logits")
    return _probed(_reopened(net, options), spec).shape[1]


def _output_of_classes(net: Foreign, options: dict[str, Any]) -> tuple[str, str]:
    for kind in ("logits", "probabilities"):
        if name := _called(kind, net):
            return kind, name
    beside = {options.get("features"), _called("features", net)}
    maps = {port.name for port in net.answered if len(port.shape) == 4 and set(port.shape[2:]) - {1, None}}
    return "", _only(net, "logits", beside=beside | maps)


def _are_probabilities(found: Tensor) -> bool:
    return bool((found >= 0).all()) and bool(((found.sum(dim=1) - 1).abs() < SUM_OFF).all())


def _called(kind: str, net: Foreign) -> str:
    """The output that has one of the usual names of its kind; empty where there is none."""
    there = [port.name for port in net.answered if _is_numbers(port, kind)]
    return next((name for name in NAMED[kind] if name in there), "")


def _only(net: Foreign, kind: str, *, beside: Collection[Any] = ()) -> str:
    """The one output that it can be. Raises ConfigurationError where there is none, or several."""
    there = [port.name for port in net.answered if _is_numbers(port, kind) and port.name not in beside]
    if len(there) != 1:
        outputs = "; ".join(port.told() for port in net.answered)
        raise ConfigurationError(f"Say with --{kind} which output that is; the file has {outputs}.")
    return there[0]


def _is_numbers(port: Port, kind: str) -> bool:
    """Whether an output could be of this kind: real numbers, of as many axes as those have."""
    return port.dtype is not None and port.dtype.is_floating_point and len(port.shape) in AXES.get(kind, (2, 4))


def _reopened(net: nn.Module, options: dict[str, Any]) -> nn.Module:
    """The same file, its outputs understood anew."""
    if isinstance(net, Foreign):
        net.understand(options)
    return net


def _probed(net: nn.Module, spec: dict[str, Any]) -> Tensor:
    """What the net makes of noise of this size."""
    height, width = spec["size"]
    noise = torch.randn(PROBED, spec["channels"], height, width, generator=torch.Generator().manual_seed(0))
    found = _answer(net, noise, f"images of {height}×{width} with {spec['channels']} channels")
    if found.ndim != 2 or len(found) != PROBED or not bool(found.isfinite().all()):
        raise ConfigurationError(
            f"The net answers noise with {list(found.shape)}, or with numbers that are not finite."
        )
    return found


def _answer(net: nn.Module, x: Tensor, what: str) -> Tensor:
    """What a net makes of its input. Raises ConfigurationError where it does not take it."""
    try:
        with torch.inference_mode():
            found: Tensor = net(x)
    except RAISED as error:
        why = f"{type(error).__name__}: {str(error).strip()[:300]}"
        raise ConfigurationError(f"The net does not take {what}: {why}") from error
    return found
