"""JSON bodies read at a bounded cost: their long lists of numbers become arrays, and what is left has to be small."""

from typing import Any

import numpy as np
import orjson

from service.errors import InvalidRequest

LONG = 64
"""Numbers from which a list becomes an array."""
MOST_MEMBERS = 20_000
"""Of all objects and lists that are no long lists of numbers; as many faults could be found, and each costs time."""
DEEPEST = 32
"""Objects and lists within each other: no request needs more than a few, and Python gives up before a thousand."""


def read_document(data: bytes) -> Any:
    """The JSON of a body, with an array float64 (n,) or (n, k) for each long list of numbers or of rows of numbers.

    A `null` among numbers becomes NaN. Raises InvalidRequest for what is no JSON, for more members than are read, and
    for what lies deeper in it.
    """
    return bounded(parsed(data))


def parsed(data: bytes | memoryview) -> Any:
    """The JSON of a body as it is. Raises InvalidRequest."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error


def bounded(document: Any, *, with_arrays: bool = True) -> Any:
    """A document whose long lists of numbers are arrays, which cost nothing as long as nobody looks at each.

    Where no list of numbers is wanted they are members as all others. Raises InvalidRequest for more than are read.
    """
    return _Reader(with_arrays=with_arrays).read(document)


class _Reader:
    def __init__(self, *, with_arrays: bool) -> None:
        self._members = 0
        self._with_arrays = with_arrays

    def read(self, part: Any, depth: int = 0) -> Any:
        if self._with_arrays and isinstance(part, list) and len(part) >= LONG:
            array = _array_of(part)
            if array is not None:
                return array
        if isinstance(part, list | dict):
            self._count(len(part), depth)
            if isinstance(part, list):
                return [self.read(member, depth + 1) for member in part]
            return {name: self.read(member, depth + 1) for name, member in part.items()}
        return part

    def _count(self, members: int, depth: int) -> None:
        if depth >= DEEPEST:
            raise InvalidRequest(f"The body has objects or lists more than {DEEPEST} deep; such are not read.")
        self._members += members
        if self._members > MOST_MEMBERS:
            raise InvalidRequest(
                f"The body has more than {MOST_MEMBERS:,} members beside its lists of numbers; so many are not read."
            )


def _array_of(rows: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """The numbers of a list, or of a list of lists of one length; None for anything else."""
    kinds = set(map(type, rows))
    if kinds == {list}:
        if len(set(map(len, rows))) != 1:
            return None
        kinds = set().union(*(set(map(type, row)) for row in rows))
    if not kinds or not kinds <= {int, float, type(None)} or kinds == {type(None)}:
        return None
    return np.array(rows, np.float64)
