"""What is noted of each sample, in files that are mapped: it takes no memory, however many samples there are."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

ROWS_AT_ONCE = 1 << 10


class Column:
    """Rows of one shape in the order in which they came, in a file without a name."""

    def __init__(self, folder: Path, row: DTypeLike) -> None:
        self._row = np.dtype(row)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed with the column
        self._bytes = 0

    def __len__(self) -> int:
        return self._bytes // self._row.itemsize

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, rows: bytes | memoryview) -> None:
        """Take one more row, or several."""
        self._bytes += self._file.write(rows)

    def map(self, mode: Literal["r", "r+"] = "r") -> NDArray[Any]:
        """All of them, mapped; good also when the column is closed, which takes no more rows than these."""
        base, shape = self._row.base, (len(self), *self._row.shape)
        if not self._bytes:
            return np.empty(shape, base)
        self._file.flush()
        mapped: NDArray[Any] = np.memmap(self._file, base, mode=mode, shape=shape)
        return mapped


def mapped(parts: Iterable[NDArray[Any]], folder: Path, row: DTypeLike, mode: Literal["r", "r+"] = "r") -> NDArray[Any]:
    """Rows that are written part by part, all of them mapped."""
    with Column(folder, row) as column:
        for part in parts:
            column.add(np.ascontiguousarray(part).data)
        return column.map(mode)


def parts_of(count: int) -> Iterator[slice]:
    """So many rows, some at a time."""
    return (slice(start, min(start + ROWS_AT_ONCE, count)) for start in range(0, count, ROWS_AT_ONCE))
