"""What tests of `/v2` say: requests with tensors as JSON or as bytes, and answers read again."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from service.operations.inference.tensors import BYTES, NUMBERS, from_raw

ECHO = "/v2/models/echo/infer"
LENGTH = "inference-header-content-length"


def tensor(name: str, array: NDArray[Any], datatype: str = "", **parameters: Any) -> dict[str, Any]:
    """An input as JSON."""
    kind = datatype or next(name for name, dtype in NUMBERS.items() if dtype == array.dtype)
    told = {"name": name, "shape": list(array.shape), "datatype": kind, "data": array.ravel().tolist()}
    return {**told, "parameters": parameters} if parameters else told


def files(*texts: str, **parameters: Any) -> dict[str, Any]:
    """Image files as JSON."""
    told: dict[str, Any] = {"name": "image", "shape": [len(texts)], "datatype": BYTES, "data": list(texts)}
    return {**told, "parameters": parameters} if parameters else told


def in_bytes(
    document: dict[str, Any], raws: Sequence[bytes], *, sizes: Sequence[Any] = ()
) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a request whose inputs lie behind its JSON; `sizes` may lie."""
    inputs = [
        {**given, "parameters": {**given.get("parameters", {}), "binary_data_size": size}}
        for given, size in zip(document["inputs"], sizes or map(len, raws), strict=True)
    ]
    head = orjson.dumps({**document, "inputs": inputs})
    return head + b"".join(raws), {LENGTH: str(len(head)), "content-type": "application/octet-stream"}


def outputs_of(reply: httpx.Response) -> dict[str, NDArray[Any]]:
    """The outputs of an answer by their names, however they came."""
    assert reply.status_code == 200, reply.text
    head = int(reply.headers.get(LENGTH, len(reply.content)))
    document, behind = orjson.loads(reply.content[:head]), reply.content[head:]
    found = {}
    for output in document["outputs"]:
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = _elements(output)
            continue
        found[output["name"]] = from_raw(output["name"], output["datatype"], output["shape"], behind[:size], {}).array
        behind = behind[size:]
    assert behind == b""
    return found


def assert_refused(reply: httpx.Response, status: int, words: str = "") -> None:
    """The answer is an error of this status in the protocol's form, and has these words in it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    document: Mapping[str, str] = reply.json()
    assert list(document) == ["error"]
    assert words in document["error"]
    assert document["error"]


def _elements(output: dict[str, Any]) -> NDArray[Any]:
    if output["datatype"] == BYTES:
        return np.array([text.encode() for text in output["data"]], object).reshape(output["shape"])
    return np.array(output["data"], NUMBERS[output["datatype"]]).reshape(output["shape"])
