"""Any series in a CSV or JSON file: a column a channel, a row a step."""

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from service.datasets.publication import Part
from service.datasets.series import Series, SeriesSource, Values
from service.errors import DatasetMissing, InvalidSeries
from service.written import read_whole

MOST = 256 * 1024 * 1024
"""Bytes of a file that is read; its values take many times that while they are."""
ENDINGS = (".csv", ".json")
TRAINED_SHARE = 0.8
"""The first four fifths are the training part, the rest the test part."""


def read_series(path: Path) -> Values:
    """The values (T, channels) of a file. Raises DatasetMissing where it is not there, InvalidSeries naming the place.

    CSV has commas, semicolons or tabs and perhaps a line of names; JSON is a list of numbers, a list of lists (time
    first), or an object of columns.
    """
    try:
        data = read_whole(path, MOST)
    except OSError as error:
        raise DatasetMissing(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise InvalidSeries(f"{path.name} cannot be read: {error}.") from error
    try:
        rows = _rows_of_json(data) if path.suffix == ".json" else _rows_of_csv(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error, orjson.JSONDecodeError) as error:
        raise InvalidSeries(f"{path.name} cannot be read: {error}.") from error
    if not rows:
        raise InvalidSeries(f"{path.name} holds no values.")
    width = len(rows[0])
    for place, row in enumerate(rows, start=1):
        if len(row) != width:
            raise InvalidSeries(f"{path.name}: step {place} has {len(row)} values, the first has {width}.")
    return np.array([[_number(cell, path, place) for cell in row] for place, row in enumerate(rows, start=1)])


def series_in_file(name: str) -> SeriesSource:
    """The series in a file of the data directory; its channels are called by their place."""
    return SeriesSource(name, (), (), partial(_read, name=name))


def _read(data_dir: Path, part: Part, *, name: str) -> Series:
    values = read_series(data_dir / name)
    border = int(len(values) * TRAINED_SHARE)
    return Series.of(values[:border] if part == "train" else values[border:])


def _rows_of_csv(text: str) -> list[list[object]]:
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows: list[list[object]] = [list(row) for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    return rows[1:] if rows and any(_is_name(cell) for cell in rows[0]) else rows


def _rows_of_json(data: bytes) -> list[list[object]]:
    document = orjson.loads(data)
    if isinstance(document, dict):
        columns = list(document.values())
        if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            raise InvalidSeries("An object of columns has a list of one length for each.")
        return [list(row) for row in zip(*columns, strict=True)]
    if not isinstance(document, list):
        raise InvalidSeries("A series in JSON is a list, or an object of columns.")
    return [row if isinstance(row, list) else [row] for row in document]


def _is_name(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return bool(cell)
    return False


def _number(cell: object, path: Path, place: int) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InvalidSeries(f"{path.name}: step {place} has {cell!r} where a number should be.")
    return value
