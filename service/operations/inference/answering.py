"""An inference request answered by the task of its model, with the outputs that it names."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import numpy as np

from service.operations.inference.backing import Answer, Backing
from service.operations.inference.labels import classify, extract
from service.operations.inference.requests import InferRequest, Wanted
from service.operations.inference.samples import generate
from service.operations.inference.series import forecast
from service.operations.inference.signatures import Signature, signature_of
from service.operations.inference.tensors import BYTES, Tensor, wrong
from service.store import Model

Task: TypeAlias = Callable[[InferRequest, Model, set[str], Backing], Awaitable[Answer]]

TASKS: dict[str, Task] = {
    "classify": classify,
    "features": extract,
    "forecast": forecast,
    "generate": generate,
}
ITEMS_AND_CLASSES = 2


async def infer(request: InferRequest, model: Model, backing: Backing) -> Answer:
    """The answer of a model. Raises InvalidRequest, and the ServiceError that the engine met."""
    signature = signature_of(model)
    _check_types(request, signature)
    wanted = request.wanted([slot.name for slot in signature.outputs])
    named = set(wanted) or {slot.name for slot in signature.outputs if not slot.optional} - {"low", "high"}
    found, told = await TASKS[model.manifest.task](request, model, named, backing)
    if not wanted:
        return Answer(found, told)
    by_name = {tensor.name: tensor for tensor in found}
    return Answer([_as_wanted(by_name[name], asked, model) for name, asked in wanted.items()], told)


def _check_types(request: InferRequest, signature: Signature) -> None:
    slots = {slot.name: slot for slot in signature.inputs}
    for given in request.inputs:
        slot = slots.get(given.name)
        if slot is not None and given.datatype not in (slot.datatype, *slot.also):
            raise wrong(given.name, f"it is {given.datatype}; {', '.join((slot.datatype, *slot.also))} are taken")


def _as_wanted(tensor: Tensor, wanted: Wanted, model: Model) -> Tensor:
    """An output as it is asked for: itself, or its largest values as texts (Triton's classification extension)."""
    count = wanted.parameters.get("classification")
    if count is None:
        return tensor
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise wrong("classification", "must be a whole number from 1 on")
    if tensor.datatype == BYTES or len(tensor.shape) != ITEMS_AND_CLASSES:
        raise wrong(tensor.name, "this output has no classes to choose from")
    labels = model.manifest.labels if tensor.name == "probabilities" else ()
    order = (-tensor.array.astype(np.float64)).argsort(axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(tensor.array, order, axis=1)
    texts = [
        f"{value:f}:{index}" + (f":{labels[index]}" if labels else "")
        for value, index in zip(values.ravel().tolist(), order.ravel().tolist(), strict=True)
    ]
    return Tensor.of_texts(tensor.name, texts, order.shape)
