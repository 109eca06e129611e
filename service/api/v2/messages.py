"""An inference over HTTP: JSON, and behind it the tensors that lie in bytes (Triton's binary tensor data extension)."""

from typing import Any

import numpy as np
import orjson
from fastapi import Request, Response
from pydantic import ValidationError

from service.api.bodies import read_body, weigh_document
from service.api.models import headers_of
from service.api.negotiation import JSON
from service.api.problems import validation_problem
from service.api.readers import Readers
from service.api.state import State
from service.errors import InvalidRequest, UnsupportedMediaType
from service.operations.inference.backing import Answer
from service.operations.inference.requests import InferRequest, Wanted, truth
from service.operations.inference.schemas import InferBody, InferTensor
from service.operations.inference.signatures import signature_of
from service.operations.inference.tensors import BYTES, Parameters, Tensor, from_elements, from_raw, raw_request, wrong
from service.store import Model

OCTETS = "application/octet-stream"
HEAD_LENGTH = "inference-header-content-length"
KINDS = ("", JSON, OCTETS)
"""The types of a body: what lies behind the JSON, the length of its head says."""
JSON_NUMBERS = 1 << 19
"""The most elements that are written as JSON; more hold up others, and take many times their bytes."""
DIGITS = 12


async def read_message(request: Request, state: State, model: Model) -> InferRequest:
    """The request that a body makes. Raises InvalidRequest, UnsupportedMediaType, BodyTooLarge, Overloaded."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise UnsupportedMediaType(f"{kind[:100]} is not read here; send {JSON} or {OCTETS}.")
    length = request.headers.get("content-length", "").encode("latin-1")
    data = await read_body(request.receive, limit=state.settings.body_limit_bytes, content_length=length)
    head = _head_length(request.headers.get(HEAD_LENGTH), len(data))
    if head == 0:
        [slot, *others] = signature_of(model).inputs
        if others or not data:
            raise InvalidRequest(f"A body without JSON is read where a model has one input, and {model.id} has more.")
        return InferRequest([raw_request(slot.name, slot.datatype, slot.shape, data)], (), {"binary_data_output": True})
    text, behind = data[:head], memoryview(data)[head:]
    await weigh_document(request.state.holding, text)
    return await parse(text, behind, state.readers, model)


async def parse(text: bytes, behind: memoryview, readers: Readers, model: Model) -> InferRequest:
    """The request of a JSON text and the bytes behind it. Raises InvalidRequest, Overloaded."""
    if not text:
        raise InvalidRequest("The body is empty; send a JSON object.")
    document = await readers.document(text, kind="tensors")
    try:
        body = InferBody.model_validate(document)
    except ValidationError as error:
        raise validation_problem([dict(found) for found in error.errors()]) from error
    for name, said, own in (("model_name", body.model_name, model.name), ("model_version", body.model_version, "")):
        if said not in (None, "", own, model.version):
            raise wrong(name, f"the body says {said[:100]!r}, and the path something else")
    inputs = []
    for given in body.inputs:
        tensor, behind = _input(given, behind)
        inputs.append(tensor)
    if len(behind):
        raise InvalidRequest(f"{len(behind):,} bytes follow that are no input's; the sizes of the inputs leave them.")
    outputs = [Wanted(output.name, output.parameters or {}) for output in body.outputs or ()]
    return InferRequest(inputs, outputs, body.parameters or {}, body.id or "")


def write_message(request: InferRequest, model: Model, answer: Answer) -> Response:
    """An answer as its request wants it. Raises InvalidRequest for what is too long to be written as JSON."""
    everywhere = truth(request.parameters, "binary_data_output")
    binary = {wanted.name: truth(wanted.parameters, "binary_data", otherwise=everywhere) for wanted in request.outputs}
    raws: list[bytes] = []
    outputs = []
    for tensor in answer.tensors:
        told: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if binary.get(tensor.name, everywhere):
            raws.append(tensor.raw())
            told["parameters"] = {"binary_data_size": len(raws[-1])}
        else:
            told["data"] = _elements(tensor)
        outputs.append(told)
    document = {
        "model_name": model.name,
        "model_version": model.version,
        **({"id": request.id} if request.id else {}),
        **({"parameters": answer.parameters} if answer.parameters else {}),
        "outputs": outputs,
    }
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = headers_of(model)
    if not raws:
        return Response(text, media_type=JSON, headers=headers)
    headers[HEAD_LENGTH] = str(len(text))
    return Response(b"".join([text, *raws]), media_type=OCTETS, headers=headers)


def _head_length(header: str | None, size: int) -> int:
    """How long the JSON is: all of the body unless the header says so. Raises InvalidRequest."""
    if header is None:
        return size or -1
    length = int(header) if header.isascii() and header.isdigit() and len(header) <= DIGITS else -1
    if not 0 <= length <= size:
        raise InvalidRequest(f"Inference-Header-Content-Length must be a number of bytes from 0 to {size}, the body's.")
    return length


def _input(given: InferTensor, behind: memoryview) -> tuple[Tensor, memoryview]:
    """An input, and what is left of the bytes behind the JSON. Raises InvalidRequest."""
    parameters: Parameters = given.parameters or {}
    size = parameters.get("binary_data_size")
    if size is None:
        if given.data is None:
            raise wrong(given.name, "it has no data, and no binary_data_size that says how many bytes are its")
        if not isinstance(given.data, list | np.ndarray):
            raise wrong(given.name, "its data have to be a list, and its datatype one of the protocol")
        return from_elements(given.name, given.datatype, given.shape, given.data, parameters), behind
    if given.data is not None:
        raise wrong(given.name, "it has data and a binary_data_size, of which one is enough")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(behind):
        raise wrong(given.name, f"binary_data_size is {size!r}, and {len(behind):,} bytes are left behind the JSON")
    return from_raw(given.name, given.datatype, given.shape, behind[:size], parameters), behind[size:]


def _elements(tensor: Tensor) -> Any:
    """The elements of an output, one after the other, as JSON writes them. Raises InvalidRequest."""
    if tensor.array.size > JSON_NUMBERS:
        raise wrong(
            tensor.name,
            f"it has {tensor.array.size:,} elements; more than {JSON_NUMBERS:,} come as bytes alone: set binary_data",
        )
    if tensor.datatype == BYTES:
        return [element.decode() for element in tensor.array.ravel().tolist()]
    return tensor.array.ravel()
