"""Classifiers and extractors: images to probabilities, labels and features."""

import numpy as np

from service.operations.classify import TOP_K_DEFAULT, check_top_k
from service.operations.generate import INTERACTIVE_COUNT
from service.operations.inference.backing import Answer, Backing
from service.operations.inference.pictures import Pictures, pictures_of
from service.operations.inference.requests import InferRequest, natural, truth
from service.operations.inference.signatures import signature_of
from service.operations.inference.tensors import Array, Parameters, Tensor, wrong
from service.runtime.calls import Call, Lane
from service.store import Model
from service.tasks.features import AT_ANY_SIZE
from service.tasks.sureness import probabilities_of, strangeness_of

CLASSIFIERS = ("top_k", "as_is")
EXTRACTORS: tuple[str, ...] = ()
OF_IMAGES = ("value_range",)
"""Parameters of the input."""


async def classify(request: InferRequest, model: Model, outputs: set[str], backing: Backing) -> Answer:
    """The outputs of a classifier that are wanted. Raises InvalidRequest, and the ServiceError that the engine met."""
    request.check_parameters(CLASSIFIERS, OF_IMAGES)
    top_k = natural(request.parameters, "top_k")
    top_k = check_top_k(TOP_K_DEFAULT if top_k is None else top_k)
    as_is = truth(request.parameters, "as_is") if "as_is" in request.parameters else None
    pictures = await _pictures(request, model, backing, as_is=as_is)
    tensors: list[Tensor] = []
    told = Parameters()
    if outputs - {"features"}:
        most = model.manifest.serving.max_batch
        [logits] = await backing.ask(Call(model.id, "classify"), pictures.rows, most=most)
        tensors, told = _understood(model, logits, pictures, top_k)
    if "features" in outputs:
        [features, _] = await _features(pictures, model, backing)
        tensors.append(Tensor.of("features", "FP32", features))
    return Answer(tensors, told)


async def extract(request: InferRequest, model: Model, outputs: set[str], backing: Backing) -> Answer:
    """The features of images, and probabilities where the extractor has classes."""
    request.check_parameters(EXTRACTORS, OF_IMAGES)
    pictures = await _pictures(request, model, backing, as_is=True)
    features, probabilities = await _features(pictures, model, backing)
    tensors = [Tensor.of("features", "FP32", features)]
    if probabilities.shape[1]:
        tensors.append(Tensor.of("probabilities", "FP32", probabilities))
    elif "probabilities" in outputs:
        raise wrong("probabilities", f"{model.id} has no classes")
    return Answer(tensors, {})


async def _pictures(request: InferRequest, model: Model, backing: Backing, *, as_is: bool | None) -> Pictures:
    slots = signature_of(model).inputs
    given = request.tensors([slot.name for slot in slots])
    [slot] = slots
    if slot.name not in given:
        raise wrong(slot.name, "this input is needed")
    return await pictures_of(given[slot.name], slot, model, backing, as_is=as_is)


async def _features(pictures: Pictures, model: Model, backing: Backing) -> list[Array]:
    verb = "features" if model.input.in_whole_pixels else AT_ANY_SIZE
    lane = Lane.INTERACTIVE if len(pictures.rows) <= INTERACTIVE_COUNT else Lane.BULK
    return await backing.ask(Call(model.id, verb), pictures.rows, most=model.manifest.serving.block, lane=lane)


def _understood(model: Model, logits: Array, pictures: Pictures, top_k: int) -> tuple[list[Tensor], Parameters]:
    """Probabilities, the likeliest labels, how strange each image is, and what was done to it."""
    labels, calibration = model.manifest.labels, model.calibration
    order = (-logits).argsort(axis=1, kind="stable")[:, :top_k]
    tensors = [
        Tensor.of("probabilities", "FP32", probabilities_of(logits, calibration)),
        Tensor.of_texts("labels", [labels[index] for index in order.ravel().tolist()], order.shape),
        Tensor.of("indices", "INT32", order),
    ]
    told: Parameters = {"calibrated": calibration is not None}
    if calibration is not None:
        strangeness = strangeness_of(logits, calibration.strangeness, calibration.temperature)
        tensors.append(Tensor.of("strangeness", "FP32", np.asarray(strangeness)))
        told["strangeness_limit"] = calibration.strangeness.limit
    tensors.append(Tensor.of_texts("notes", [" ".join(notes) for notes in pictures.notes]))
    return tensors, told
