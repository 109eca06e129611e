"""The tensors of the Open Inference Protocol: their types, and how they lie in JSON, in bytes and in arrays."""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest
from service.imaging.texts import bytes_of_text

Array = NDArray[Any]
Parameters = dict[str, str | int | float | bool]

BYTES = "BYTES"
NUMBERS: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The types of numbers, as they lie in bytes."""
MOST_STRINGS = 4096
"""Elements of one tensor of BYTES."""
MOST_AXES = 8
MOST_EMPTY = 1 << 40
"""What the other axes of an empty tensor may come to: no elements bound them, and an array has room for no more."""
LENGTH = struct.Struct("<I")
"""What stands before each element of BYTES: how long it is."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, in or out. Of BYTES its elements are Python's `bytes`, in an array of objects."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: Array
    parameters: Parameters = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, datatype: str, array: Array) -> Self:
        """An array as a tensor of this type."""
        typed = array if datatype == BYTES else np.ascontiguousarray(array, NUMBERS[datatype])
        return cls(name, datatype, array.shape, typed)

    @classmethod
    def of_texts(cls, name: str, texts: Sequence[Any], shape: tuple[int, ...] | None = None) -> Self:
        """Texts, in UTF-8, in the order of a shape; one after the other unless given."""
        elements = np.empty(len(texts), object)
        elements[:] = [text.encode() for text in texts]
        return cls.of(name, BYTES, elements if shape is None else elements.reshape(shape))

    def raw(self) -> bytes:
        """Its elements as they go in bytes."""
        if self.datatype != BYTES:
            return self.array.tobytes()
        return b"".join(LENGTH.pack(len(element)) + element for element in self.array.ravel().tolist())


def wrong(name: str, what: str) -> InvalidRequest:
    """That something is wrong with an input or an output."""
    return InvalidRequest.of_field(name[:100], what)


def check_type(name: str, datatype: str) -> None:
    """Raises InvalidRequest for a type that is none of the protocol's, or that is not read here."""
    if datatype != BYTES and datatype not in NUMBERS:
        raise wrong(name, f"the datatype {datatype[:20]} is not read here; {', '.join([*NUMBERS, BYTES])} are")


def check_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape of whole numbers, none below 0. Raises InvalidRequest."""
    if len(shape) > MOST_AXES:
        raise wrong(name, f"the shape has {len(shape)} axes; at most {MOST_AXES} are read")
    if any(size < 0 for size in shape):
        raise wrong(name, f"the shape {list(shape)} has a size below 0; a request says how large a tensor is")
    if 0 in shape and math.prod(size or 1 for size in shape) > MOST_EMPTY:
        raise wrong(name, f"an axis of 0 leaves nothing of the shape {list(shape)}, and the others are too long")
    return tuple(shape)


def from_raw(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview, given: Parameters) -> Tensor:
    """A tensor that lies in bytes: as many as its type and shape take. Raises InvalidRequest."""
    check_type(name, datatype)
    sizes = check_shape(name, shape)
    if datatype == BYTES:
        found = list(_split(name, data))
        if given.get("content_type") == "base64":
            found = strings_of(name, [element.decode("latin-1") for element in found])
        return Tensor(name, datatype, sizes, _strings(name, found, sizes), given)
    dtype = NUMBERS[datatype]
    needed = math.prod(sizes) * dtype.itemsize
    if needed != len(data):
        raise wrong(name, f"{datatype} of shape {list(sizes)} takes {needed:,} bytes, and {len(data):,} were sent")
    if datatype == "BOOL":
        return Tensor(name, datatype, sizes, (np.frombuffer(data, np.uint8) != 0).reshape(sizes), given)
    return Tensor(name, datatype, sizes, np.frombuffer(data, dtype).reshape(sizes), given)


def raw_request(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Tensor:
    """The one input of a request that is nothing but its bytes; how many items they are, their number says.

    Raises InvalidRequest where the shape leaves more than that open, or they are no whole number of items.
    """
    item = math.prod(shape[1:]) * (NUMBERS[datatype].itemsize if datatype in NUMBERS else -1)
    if item <= 0 or any(size < 0 for size in shape[1:]):
        raise wrong(name, f"bytes alone do not say its shape, which is {list(shape)}; send JSON before them")
    if len(data) % item:
        raise wrong(name, f"{len(data):,} bytes are no whole number of items of {item:,}")
    return from_raw(name, datatype, (len(data) // item, *shape[1:]), data, {})


def from_elements(name: str, datatype: str, shape: Sequence[int], elements: Any, given: Parameters) -> Tensor:
    """A tensor whose elements have been read one by one: an array of numbers (n,), or a list of bytes.

    Raises InvalidRequest for another number of elements than the shape says, and for values beyond the type.
    """
    check_type(name, datatype)
    sizes = check_shape(name, shape)
    if datatype == BYTES:
        return Tensor(name, datatype, sizes, _strings(name, list(map(bytes, elements)), sizes), given)
    _check_count(name, len(elements), sizes)
    return Tensor(name, datatype, sizes, _as_type(name, datatype, elements).reshape(sizes), given)


def flatten(name: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    """The elements of a list, or of lists of lists that have the tensor's shape. Raises InvalidRequest."""
    nested: list[int] = [len(data)]
    while data and isinstance(data[0], list):
        lengths = set(map(len, data)) if all(type(part) is list for part in data) else set()
        if len(lengths) != 1 or len(nested) == MOST_AXES:
            raise wrong(name, "its data are lists of several lengths, or lie too deep")
        nested += lengths
        data = list(chain.from_iterable(data))
    if len(nested) > 1 and nested != list(shape):
        raise wrong(name, f"its data have the shape {nested}, and it says {list(shape)}")
    return data


def numbers_of(name: str, datatype: str, data: list[Any]) -> Array:
    """The elements of a tensor of numbers in JSON, (n,). Raises InvalidRequest for what is no number of its kind."""
    kinds = set(map(type, data))
    allowed = {bool} if datatype == "BOOL" else {int, float} if datatype.startswith("FP") else {int}
    if not kinds <= allowed:
        found = ", ".join(sorted(kind.__name__ for kind in kinds - allowed))
        raise wrong(name, f"its data hold what is no {datatype} ({found})")
    try:
        array = np.array(data, np.float64 if datatype.startswith("FP") else None)
    except OverflowError:
        array = np.array(None)
    if array.dtype == object:
        raise wrong(name, f"its data hold numbers beyond {datatype}")
    return array


def strings_of(name: str, data: list[Any]) -> list[bytes]:
    """The elements of a tensor of BYTES in JSON, which cannot hold bytes: base64. Raises InvalidRequest."""
    if len(data) > MOST_STRINGS:
        raise wrong(name, f"it has {len(data):,} elements; at most {MOST_STRINGS:,} of BYTES are read")
    found = []
    for place, text in enumerate(data):
        if not isinstance(text, str):
            raise wrong(f"{name}[{place}]", "in JSON an element of BYTES is a string in base64, or a data URL")
        try:
            found.append(bytes_of_text(text))
        except ValueError as error:
            raise wrong(f"{name}[{place}]", str(error)) from error
    return found


def _as_type(name: str, datatype: str, elements: Array) -> Array:
    """Numbers as numbers of this type. Raises InvalidRequest for those beyond it."""
    dtype = NUMBERS[datatype]
    if elements.dtype == dtype or not elements.size:
        return elements.astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = int(elements.min()), int(elements.max())
        if elements.dtype.kind not in "iu" or low < limits.min or high > limits.max:
            raise wrong(name, f"its data go from {low} to {high}, beyond {datatype}")
        return elements.astype(dtype)
    with np.errstate(over="ignore"):
        return elements.astype(dtype)


def _strings(name: str, elements: list[bytes], shape: tuple[int, ...]) -> Array:
    _check_count(name, len(elements), shape)
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def _check_count(name: str, count: int, shape: tuple[int, ...]) -> None:
    if count != math.prod(shape):
        raise wrong(name, f"the shape {list(shape)} has {math.prod(shape):,} elements, and {count:,} were sent")


def _split(name: str, data: bytes | memoryview) -> Iterator[bytes]:
    """The elements of a tensor of BYTES that lies in bytes."""
    start = count = 0
    while start < len(data):
        count += 1
        if count > MOST_STRINGS:
            raise wrong(name, f"it has more than {MOST_STRINGS:,} elements, the most of BYTES that are read")
        body = start + LENGTH.size
        if body > len(data):
            raise wrong(name, "it ends within the length of an element")
        [length] = LENGTH.unpack_from(data, start)
        if body + length > len(data):
            raise wrong(name, f"element {count - 1} says that it has {length:,} bytes, and {len(data) - body:,} follow")
        yield bytes(data[body : body + length])
        start = body + length
