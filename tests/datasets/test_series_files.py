from pathlib import Path

import pytest

from service.datasets.registry import find_series
from service.datasets.series_files import read_series
from service.errors import DatasetMissing, InvalidSeries


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "1\n2\n3.5\n", [[1], [2], [3.5]]),
        ("a.csv", "time,load\n1,20\n2,30\n", [[1, 20], [2, 30]]),
        ("a.csv", "\ufeffx;y\r\n1;-2e3\r\n", [[1, -2000]]),
        ("a.csv", "1\t2\n3\t4\n", [[1, 2], [3, 4]]),
        ("a.json", "[1, 2, 3]", [[1], [2], [3]]),
        ("a.json", "[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("a.json", '{"x": [1, 2], "y": [3, 4]}', [[1, 3], [2, 4]]),
    ],
)
def test_a_series_is_read_a_row_a_step(tmp_path: Path, name: str, text: str, expected: list[list[float]]) -> None:
    assert read_series(written(tmp_path, name, text)).tolist() == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "", "holds no values"),
        ("a.csv", "1,2\n3\n", "step 2 has 1 values, the first has 2"),
        ("a.csv", "x\n1\n\n,\n", "step 2 has 2 values"),
        ("a.csv", "1\nnan\n", "step 2 has 'nan'"),
        ("a.json", "[1, null]", "step 2 has None"),
        ("a.json", "[1,", "cannot be read"),
        ("a.json", "3", "a list, or an object of columns"),
        ("a.json", '{"x": [1], "y": [1, 2]}', "a list of one length"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_place(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidSeries, match=reason):
        read_series(written(tmp_path, name, text))


def test_a_file_of_the_data_directory_is_a_dataset(tmp_path: Path) -> None:
    written(tmp_path, "tides.csv", "\n".join(map(str, range(10))))
    source = find_series("tides.csv")
    assert len(source.load(tmp_path, "train")) == 8
    assert source.load(tmp_path, "test").values.tolist() == [[8], [9]]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"tides\.csv"):
        find_series("tides.csv").load(tmp_path, "train")
