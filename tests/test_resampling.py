import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.generators import IMAGES, sha256_of

from service.imaging import conform
from service.resampling import RESAMPLINGS, RESIZING, resample, weights
from service.store import Resample

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "resizing.json").read_text("utf-8"))

# What we call the ways of the tools in metrics that were recorded.
OURS = {
    "cleanfid mode=clean (PIL F bicubic antialias, no quantise)": "bicubic-antialias",
    "cleanfid mode=legacy_pytorch (F.interpolate bilinear, align_corners=False, no antialias)": "bilinear",
    "cleanfid PIL bilinear float": "bilinear-antialias",
    "cleanfid PIL bicubic quantised": "pillow-bicubic",
    "torch_fidelity interpolate_bilinear_2d_like_tensorflow1x (what fid/isc/kid use)": "bilinear-tf1",
    "torchmetrics antialias=True (F.interpolate bilinear antialias)": "bilinear-antialias-torch",
}


def resized(name: str, how: str) -> np.ndarray[Any, Any]:
    picture = IMAGES[name]()
    assert sha256_of(picture) == GOLDEN[name]["sha256"]
    if how == "pillow-bicubic":
        return conform(picture, size=(299, 299), channels=3, resampling="bicubic")
    return resample(picture, how, (299, 299))


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("tool", OURS)
def test_every_tools_resizing_is_met_to_a_thousandth_of_a_grey_level(name: str, tool: str) -> None:
    expected = GOLDEN[name]["resized"][tool]
    found = resized(name, OURS[tool]).astype(np.float64)
    assert found.shape == (299, 299, 3)
    moments = {"mean": found.mean(), "std": found.std(), "min": found.min(), "max": found.max()}
    pixels = {f"px_{y}_{x}": found[y, x] for y, x in ((0, 0), (150, 150), (298, 298), (17, 231))}
    assert expected.keys() == moments.keys() | pixels.keys()
    for key, value in (moments | pixels).items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-3, err_msg=key)


def test_every_way_has_its_words_and_can_be_written_in_a_manifest() -> None:
    assert RESIZING.keys() == set(typing.get_args(Resample))
    assert {name for name in RESIZING if name != "as-sent" and not name.startswith("pillow-")} == RESAMPLINGS.keys()
    assert set(OURS.values()) == RESAMPLINGS.keys() | {"pillow-bicubic"}


@pytest.mark.parametrize("name", RESAMPLINGS)
@pytest.mark.parametrize(("source", "target"), [(1, 5), (7, 7), (32, 299), (1024, 299), (5, 1)])
def test_a_pixels_shares_are_whole_and_of_another_size_only(name: str, source: int, target: int) -> None:
    shares = weights(name, source, target)
    assert shares.shape == (target, source)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
    if source == target:
        np.testing.assert_array_equal(shares, np.eye(source))


@pytest.mark.parametrize("name", RESAMPLINGS)
def test_resizing_is_the_product_of_both_axes_shares(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 23, 3), dtype=np.uint8)
    rows, columns = weights(name, 40, 17).astype(np.float64), weights(name, 23, 31).astype(np.float64)
    whole = np.einsum("th,hwc,sw->tsc", rows, picture.astype(np.float64), columns)
    expected = whole.clip(0, 255) if RESAMPLINGS[name].overshoots else whole
    np.testing.assert_allclose(resample(picture, name, (17, 31)), expected, atol=1e-3)
