"""The JSON of an inference request read at a bounded cost: the data of its inputs become arrays and bytes."""

from typing import Any

import numpy as np

from service.errors import InvalidRequest
from service.operations.documents import bounded, parsed
from service.operations.inference.tensors import BYTES, NUMBERS, Array, flatten, numbers_of, strings_of


def read_tensors(data: bytes) -> Any:
    """The document, with the data of each input as an array of numbers (n,), or as an array of bytes for each element.

    What is not an inference request is left as it is, for others to name its faults. Raises InvalidRequest.
    """
    document = parsed(data)
    inputs = document.get("inputs") if isinstance(document, dict) else None
    taken: dict[int, Array | list[Array]] = {}
    for place, given in enumerate(inputs if isinstance(inputs, list) else ()):
        if isinstance(given, dict) and isinstance(given.get("data"), list):
            taken[place] = _taken(given, place)
            given["data"] = None
    document = bounded(document, with_arrays=False)  # of each number in a shape or a list of inputs a fault is found
    for place, found in taken.items():
        document["inputs"][place]["data"] = found
    return document


def _taken(given: dict[str, Any], place: int) -> Array | list[Array]:
    datatype, shape = given.get("datatype"), given.get("shape")
    name = str(given.get("name") or f"inputs[{place}]")
    if datatype not in (*NUMBERS, BYTES) or not isinstance(shape, list):
        raise InvalidRequest.of_field(name[:100], "an input with data needs a datatype of the protocol and a shape")
    elements = flatten(name, shape, given["data"])
    if datatype == BYTES:
        return [np.frombuffer(element, np.uint8) for element in strings_of(name, elements)]
    return numbers_of(name, datatype, elements)
