"""Which tensors a model takes and gives, by its task: what the protocol's metadata and configuration tell."""

from typing import NamedTuple

from service.operations.inference.tensors import BYTES
from service.store import Manifest, Model

ANY = -1
"""A size that a request decides."""


class Slot(NamedTuple):
    """The place of one tensor."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    """Of an input, whether it may be left out; of an output, whether it comes only where it is named."""
    also: tuple[str, ...] = ()
    """Further types that are taken."""


class Signature(NamedTuple):
    """All tensors of a model."""

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    batched: bool
    """Whether the first axis of every tensor counts items."""


WHOLE = ("INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT32", "UINT64")
REAL = ("FP32", "FP16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32")


def signature_of(model: Model) -> Signature:
    """The tensors of this model."""
    return SIGNATURES[model.manifest.task](model)


def _of_classifier(model: Model) -> Signature:
    classes = len(model.manifest.labels)
    known = model.calibration is not None
    outputs = (
        Slot("probabilities", "FP32", (ANY, classes)),
        Slot("labels", BYTES, (ANY, ANY)),
        Slot("indices", "INT32", (ANY, ANY)),
        *([Slot("strangeness", "FP32", (ANY,))] if known else []),
        Slot("notes", BYTES, (ANY,)),
        *([Slot("features", "FP32", (ANY, ANY), optional=True)] if model.manifest.shows_features else []),
    )
    return Signature((_image(model, (BYTES, "FP32")),), outputs, batched=True)


def _of_extractor(model: Model) -> Signature:
    also = (BYTES, "FP32") if model.input.in_whole_pixels else ()
    outputs = (Slot("features", "FP32", (ANY, ANY)), Slot("probabilities", "FP32", (ANY, ANY), optional=True))
    return Signature((_image(model, also),), outputs, batched=True)


def _image(model: Model, also: tuple[str, ...]) -> Slot:
    spec = model.input
    if spec.in_whole_pixels:
        return Slot("image", "UINT8", (ANY, *spec.size, spec.channels), also=also)
    return Slot("image", "UINT8", (ANY, ANY, ANY, ANY if spec.resample == "as-sent" else spec.channels), also=also)


def _of_generator(model: Model) -> Signature:
    inputs = (
        Slot("seed", "INT64", (1,), optional=True, also=WHOLE),
        Slot("count", "INT64", (1,), optional=True, also=WHOLE),
    )
    return Signature(inputs, (_samples(model.manifest), Slot("seed", "INT64", (1,))), batched=False)


def _samples(manifest: Manifest) -> Slot:
    if manifest.output is None:
        return Slot("points", "FP32", (ANY, 2))
    return Slot("images", "UINT8", (ANY, *manifest.output.size, manifest.output.channels))


def _of_forecaster(model: Model) -> Signature:
    spec = model.series
    channels = ANY if spec.fits else len(spec.channels)
    inputs = (
        Slot("history", "FP64", (ANY, channels), also=REAL),
        Slot("horizon", "INT64", (1,), also=WHOLE),
        Slot("inputs", "FP64", (ANY, ANY), optional=not spec.inputs, also=REAL),
    )
    outputs = tuple(Slot(name, "FP64", (ANY, channels)) for name in ("forecast", "low", "high"))
    return Signature(inputs, outputs, batched=False)


SIGNATURES = {
    "classify": _of_classifier,
    "features": _of_extractor,
    "forecast": _of_forecaster,
    "generate": _of_generator,
}
