"""Generators: a seed and a count to images, or to points in the plane."""

import math
from contextlib import aclosing
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from service.errors import InvalidRequest
from service.operations.generate import Sampling
from service.operations.inference.backing import Answer, Backing
from service.operations.inference.requests import InferRequest, natural, whole_number
from service.operations.inference.signatures import signature_of
from service.operations.inference.tensors import Array, Tensor
from service.schemas import GenerateRequest
from service.store import Model

Asked = TypeVar("Asked", bound=BaseModel)

GENERATORS = ("generator", "interpolate")
UNPACKED = "npy"
"""The format without a limit of its own: what comes here is not packed at all."""


async def generate(request: InferRequest, model: Model, outputs: set[str], backing: Backing) -> Answer:  # noqa: ARG001
    """Samples of a seed, and the seed itself. Raises InvalidRequest, and the ServiceError that the engine met."""
    request.check_parameters(GENERATORS)
    signature = signature_of(model)
    numbers = {
        name: whole_number(name, given.array)
        for name, given in request.tensors([slot.name for slot in signature.inputs]).items()
    }
    steps = natural(request.parameters, "interpolate")
    asked = validated(
        GenerateRequest,
        **numbers,
        interpolate=None if steps is None else {"steps": steps},
        generator=natural(request.parameters, "generator"),
    )
    sampling = Sampling.of(asked, model, limit=backing.settings.generate_limit, format_name=UNPACKED)
    slot = signature.outputs[0]
    size = math.prod(slot.shape[1:]) * (1 if slot.datatype == "UINT8" else 4)
    backing.hold(sampling.count * size)
    samples = await _drawn(sampling, backing)
    return Answer(
        [Tensor.of(slot.name, slot.datatype, samples), Tensor.of("seed", "INT64", np.array([sampling.seed]))], {}
    )


async def _drawn(sampling: Sampling, backing: Backing) -> Array:
    blocks = sampling.blocks(backing.engines, deadline=backing.deadline, request_id=backing.request_id)
    async with aclosing(blocks) as drawn:
        found = [block async for block in drawn]
    return found[0] if len(found) == 1 else np.concatenate(found)


def validated(kind: type[Asked], **fields: object) -> Asked:
    """A request of these fields. Raises InvalidRequest, which names those that are wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        wrong = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
        sentence = "; ".join(f"{one['field']}: {one['message']}" for one in wrong)
        raise InvalidRequest(sentence, errors=wrong) from error
