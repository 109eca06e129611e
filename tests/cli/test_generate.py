import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli.conftest import Run
from doubles import add_several
from PIL import Image

from service.packing.images import Grid
from service.store import ModelStore


@pytest.mark.parametrize("name", ["grid.png", "files.zip", "array.npz", "array.npy"])
def test_the_same_seed_gives_the_same_bytes_here_and_over_http(
    name: str, run: Run, server: str, tmp_path: Path, store: ModelStore
) -> None:
    here, there = tmp_path / f"here-{name}", tmp_path / f"there-{name}"
    for output, where in ((here, ()), (there, ("--server", server))):
        result = run("generate", "doodle", "--count", 11, "--seed", 5, "--output", output, *where)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{output}  11 samples of doodle {store.get('doodle').version}, seed 5\n"
    assert here.read_bytes() == there.read_bytes()


def test_the_suffix_says_what_is_written(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "a.zip", "a.NPZ"):
        assert run("generate", "--count", 5, "--seed", 1, "--output", tmp_path / name).exit_code == 0
    images = np.load(tmp_path / "a.NPZ")["images"]
    assert (images.shape, images.dtype) == ((5, 2, 2, 1), np.uint8)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [f"{index:05}.png" for index in range(5)]
        first = np.asarray(Image.open(io.BytesIO(archive.read("00000.png"))))
    assert np.array_equal(first, images[0, :, :, 0])
    with Image.open(tmp_path / "a.png") as grid:
        assert grid.size == (14, 10)


def test_a_drawn_seed_is_told_and_draws_the_same_images_again(run: Run, tmp_path: Path) -> None:
    told = run("generate", "--count", 1, "--output", tmp_path / "first.npz").stdout
    assert "1 sample of doodle" in told
    run("generate", "--count", 1, "--seed", told.split()[-1], "--output", tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", "--output", "{}/a.png"), "There is no model called 'nobody'"),
        (("echo", "--output", "{}/a.png"), "echo does classify, not generate"),
        (("--output", "{}/a.gif"), "ends in none of .json, .npy, .npz, .png, .svg, .zip"),
        (("--output", "{}/nowhere/a.png"), "No such file or directory"),
        (("--count", (Grid.limit or 0) + 1, "--output", "{}/a.png"), "at most 1,024 images as png"),
        (("--generator", 0, "--output", "{}/a.png"), "doodle has one generator"),
        (("--output", "{}/a.json"), "doodle draws images"),
        (("--count", 0, "--output", "{}/a.png"), "--count"),
    ],
    ids=[
        "no such model",
        "a classifier",
        "unknown suffix",
        "no such folder",
        "too large a grid",
        "one generator",
        "no document",
        "no images",
    ],
)
def test_what_cannot_be_drawn_is_said_and_leaves_nothing_behind(
    arguments: tuple[object, ...], words: str, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    result = run("generate", *(str(argument).format(folder) for argument in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert list(folder.iterdir()) == []


def test_a_server_refuses_in_its_own_words(run: Run, server: str, tmp_path: Path) -> None:
    result = run("generate", "echo", "--server", server, "--output", tmp_path / "a.png")
    assert (result.exit_code, result.stderr) == (2, "chapterhouse: echo does classify, not generate.\n")
    assert list(tmp_path.glob("*a.png*")) == []


def test_paths_and_points_are_drawn_too(run: Run, models_dir: Path, store: ModelStore, tmp_path: Path) -> None:
    add_several(models_dir)
    grid, points = tmp_path / "paths.png", tmp_path / "points.json"
    told = run("generate", "--interpolate", 6, "--seed", 1, "--output", grid).stdout
    assert told == f"{grid}  24 samples of doodle {store.get('doodle').version}, seed 1\n"
    with Image.open(grid) as picture:
        assert picture.size == (6 * 4 + 2, 4 * 4 + 2)
    told = run("generate", "dots", "--generator", 2, "--seed", 1, "--output", points).stdout
    assert told == f"{points}  1,000 samples of dots {store.get('dots').version}, seed 1\n"
    assert len(json.loads(points.read_bytes())["points"]) == 1000
