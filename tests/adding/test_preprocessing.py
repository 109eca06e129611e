import json
from pathlib import Path
from typing import Any

import pytest

from service.adding.preprocessing import read_preprocessor
from service.errors import ConfigurationError

IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def read(tmp_path: Path, said: object) -> dict[str, Any]:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return read_preprocessor(path)


def test_a_shorter_side_and_a_crop_are_read(tmp_path: Path) -> None:
    said = {
        "do_resize": True,
        "size": {"shortest_edge": 256},
        "do_center_crop": True,
        "resample": 3,
        "do_normalize": True,
    }
    found = read(tmp_path, {**said, "crop_size": {"height": 224, "width": 224}, **IMAGENET})
    assert found.pop("mean") == pytest.approx(IMAGENET["image_mean"])
    assert found.pop("std") == pytest.approx(IMAGENET["image_std"])
    assert found == {"size": (224, 224), "resize": 256, "resample": "pillow-bicubic"}


def test_height_and_width_without_a_crop_are_squeezed_to(tmp_path: Path) -> None:
    found = read(tmp_path, {"size": {"height": 224, "width": 192}, "resample": 2, **IMAGENET})
    assert (found["size"], found["resample"], "resize" in found) == ((224, 192), "pillow-bilinear", False)


def test_another_factor_and_offset_are_said_as_mean_and_deviation(tmp_path: Path) -> None:
    """(pixel / 127.5 − 1 − 0.5) / 0.5 is (pixel / 255 − 0.75) / 0.25."""
    said = {"size": 8, "rescale_factor": 1 / 127.5, "rescale_offset": True, "image_mean": [0.5], "image_std": [0.5]}
    found = read(tmp_path, said)
    assert found["mean"] == pytest.approx([0.75])
    assert found["std"] == pytest.approx([0.25])
    plain = read(
        tmp_path, {"size": 8, "do_rescale": False, "do_normalize": False, "image_mean": [9.0], "image_std": [3.0]}
    )
    assert (plain["mean"], plain["std"]) == (pytest.approx([0.0]), pytest.approx([1 / 255]))


def test_one_number_is_both_sides_or_every_channel(tmp_path: Path) -> None:
    found = read(tmp_path, {"size": 256, "do_center_crop": True, "crop_size": 224, "image_mean": 0.5, "image_std": 0.5})
    assert (found["size"], found["resize"]) == ((224, 224), 256)
    assert (found["mean"], found["std"]) == (pytest.approx((0.5,) * 3), pytest.approx((0.5,) * 3))
    assert read(tmp_path, {"size": 8})["std"] == pytest.approx((1.0,) * 3)


def test_timm_says_the_same_in_its_own_words(tmp_path: Path) -> None:
    said = {
        "input_size": [3, 224, 224],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
        "crop_pct": 0.875,
    }
    expected = {"size": (224, 224), "mean": (0.5,) * 3, "std": (0.5,) * 3, "resize": 256, "resample": "pillow-bicubic"}
    assert read(tmp_path, said) == expected
    assert read(tmp_path, {"architecture": "x", "pretrained_cfg": said}) == expected
    assert "resize" not in read(tmp_path, {**said, "crop_mode": "squash"})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no JSON", "no preprocessor's JSON"),
        ([1], "no preprocessor's JSON"),
        ({"size": 8, "resample": 1}, "bilinear .2. and bicubic .3. are used here, not 1"),
        ({"size": 8, "do_flip_channel_order": True}, "blue, green, red"),
        ({"size": 8, "do_pad": True}, "it pads images"),
        ({"size": {"longest_edge": 8}}, "'height'"),
        ('{"size": 1e400}', "infinity"),
        ("[" * 100_000, "nested too deep"),
        ({"size": 8, "rescale_factor": 0, "image_mean": [0.5]}, "division by zero"),
        ({"input_size": [3, 8, 8], "mean": [0], "std": [1], "crop_mode": "border"}, "crop_mode: border"),
    ],
)
def test_what_is_not_done_here_is_refused_and_not_left_out(tmp_path: Path, said: object, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read(tmp_path, said)


def test_a_file_of_any_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match=r"large\.json is no preprocessor's JSON.*more than 16,777,216 bytes"):
        read_preprocessor(tmp_path / "large.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.json cannot be read"):
        read_preprocessor(tmp_path / "nothing.json")
