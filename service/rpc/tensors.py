"""An inference of gRPC as a body of `/v2`, and the answer as a message again."""

from typing import Any

import numpy as np
import orjson

from service.errors import InvalidRequest
from service.operations.inference.tensors import BYTES, from_elements
from service.rpc.messages import message_class, parameters_of, set_parameters

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where the elements of each type lie that are not sent raw."""


def body_of(message: Any) -> tuple[bytes, int]:
    """The body of a request, and how long its JSON is. Raises InvalidRequest for elements that are no such tensor."""
    raws: list[bytes] = list(message.raw_input_contents)
    if raws and len(raws) != len(message.inputs):
        raise InvalidRequest(f"There are {len(message.inputs)} inputs, and raw contents of {len(raws)}.")
    inputs = []
    for place, given in enumerate(message.inputs):
        if not raws or given.HasField("contents"):
            if raws:
                raise InvalidRequest(f"{given.name[:100]} has contents and raw contents, of which one is enough.")
            raw = _raw(given)
        else:
            raw = raws[place]
        told = {**parameters_of(given.parameters), "binary_data_size": len(raw)}
        described = {"name": given.name, "datatype": given.datatype, "shape": list(given.shape), "parameters": told}
        inputs.append((described, raw))
    document = {
        "id": message.id,
        "parameters": {**parameters_of(message.parameters), "binary_data_output": True},
        "inputs": [described for described, _ in inputs],
        "outputs": [
            {"name": output.name, "parameters": parameters_of(output.parameters)} for output in message.outputs
        ],
    }
    head = orjson.dumps(document)
    return b"".join([head, *(raw for _, raw in inputs)]), len(head)


def answer_of(body: bytes, head: int) -> Any:
    """The message of an answer."""
    document, behind = orjson.loads(body[:head]), memoryview(body)[head:]
    answer = message_class("ModelInferResponse")(
        model_name=document["model_name"], model_version=document["model_version"], id=document.get("id", "")
    )
    set_parameters(answer.parameters, document.get("parameters", {}))
    for output in document["outputs"]:
        answer.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
        size = output["parameters"]["binary_data_size"]
        answer.raw_output_contents.append(bytes(behind[:size]))
        behind = behind[size:]
    return answer


def _raw(given: Any) -> bytes:
    """The elements of an input as they go in bytes. Raises InvalidRequest."""
    name, datatype = given.name, given.datatype
    if datatype not in CONTENTS:
        raise InvalidRequest(f"{name[:100]}: {datatype[:20]} is sent as raw contents alone, or is no datatype.")
    kind = CONTENTS[datatype]
    others = [field.name for field, _ in given.contents.ListFields() if field.name != kind]
    if others:
        raise InvalidRequest(f"{name[:100]} is {datatype} and has {', '.join(others)}; its elements are {kind}.")
    elements = getattr(given.contents, kind)
    array = list(elements) if datatype == BYTES else np.array(elements)
    return from_elements(name, datatype, list(given.shape), array, {}).raw()
