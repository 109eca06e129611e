"""Arrays of an uploaded npy or npz: numbers only, and no memory before the bytes are there."""

import io
import math
import struct
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from service.errors import UnreadableArchive
from service.evaluation.samples.limits import Budget, Stream, pieces

LONGEST_HEADER_BYTES = 4096
MALFORMED = (
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
    tokenize.TokenError,
)
LENGTHS = {(1, 0): "<H", (2, 0): "<I"}


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def spool_array(stream: Stream, name: str, target: Path, budget: Budget) -> NDArray[Any]:
    """The npy array of a stream, copied to the file `target` and mapped from it read-only.

    Raises UnreadableArchive for objects, structures, strings, shapes that the budget does not allow and arrays that
    end early; EOFError and what the stream raises pass through.
    """
    header = _read_header(stream, name)
    if header.dtype.kind not in "fiu" or header.dtype.itemsize > 8:
        kind = "Python objects" if header.dtype.hasobject else str(header.dtype)
        raise UnreadableArchive(f"The array {name!r} holds {kind}; only integers and real numbers are read.")
    if min(header.shape, default=1) < 1:
        raise UnreadableArchive(f"The array {name!r} is empty: its shape is {header.shape}.")
    if header.size_bytes > budget.left_bytes:
        raise UnreadableArchive(f"The array {name!r} of shape {header.shape} is larger than an upload may unpack to.")
    with target.open("wb") as file:
        file.writelines(pieces(stream, budget, header.size_bytes))
    if stream.read(1):
        raise UnreadableArchive(
            f"Behind the array {name!r} of shape {header.shape} more bytes follow: another array, or rows that its"
            " header does not count. Save all samples as one array."
        )
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    array: NDArray[Any] = np.memmap(target, header.dtype, mode="r", shape=header.shape, order=order)
    return array


def _read_header(stream: Stream, name: str) -> _Header:
    try:
        return _parse_header(stream)
    except MALFORMED as error:
        raise UnreadableArchive(f"The array {name!r} has no valid npy header: {error}.") from error


def _parse_header(stream: Stream) -> _Header:
    version = npy.read_magic(stream)
    if version not in LENGTHS:
        raise ValueError(f"format version {version} is not read")
    prefix = stream.read(struct.calcsize(LENGTHS[version]))
    (length,) = struct.unpack(LENGTHS[version], prefix)
    if length > LONGEST_HEADER_BYTES:  # numpy would read it in one piece, however long
        raise ValueError(f"it is {length:,} bytes long")
    text = io.BytesIO(prefix + stream.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(text, max_header_size=LONGEST_HEADER_BYTES)
    if any(type(size) is not int for size in shape):  # True is a whole number to numpy while it reads, and not later
        raise ValueError(f"its shape is {shape}")
    return _Header(shape, dtype, fortran)
