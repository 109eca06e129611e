import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.batches import Layout, ValueRange, array_of, pixels_of
from service.errors import InvalidRequest, InvalidSamples, ServiceError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 3), dtype=np.uint8)
GREY = PIXELS[..., :1]


@pytest.mark.parametrize("pixels", [PIXELS, GREY])
@pytest.mark.parametrize("layout", [None, "NCHW"])
def test_channels_may_come_second(pixels: np.ndarray, layout: Layout | None) -> None:
    found = pixels_of(torch.from_numpy(pixels).permute(0, 3, 1, 2), layout=layout)
    assert np.array_equal(found, pixels)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("layout", [None, "NHWC"])
def test_channels_may_come_last_or_be_left_out(layout: Layout | None) -> None:
    assert np.array_equal(pixels_of(PIXELS, layout=layout), PIXELS)
    assert np.array_equal(pixels_of(GREY[..., 0], layout=layout), GREY)


def test_where_both_axes_may_be_channels_the_layout_has_to_be_named() -> None:
    either = PIXELS[:, :3]
    with pytest.raises(InvalidRequest, match=r"layout: images of shape \(5, 3, 6, 3\) may be NCHW or NHWC"):
        pixels_of(either)
    assert np.array_equal(pixels_of(either, layout="NHWC"), either)
    assert pixels_of(either, layout="NCHW").shape == (5, 6, 3, 3)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1)])
def test_every_level_comes_back_from_real_numbers(value_range: ValueRange, kind: torch.dtype) -> None:
    levels = np.arange(0, 256, 51, dtype=np.uint8).reshape(1, 2, 3)
    low, high = value_range
    scaled = torch.from_numpy(levels / 255 * (high - low) + low).to(kind)
    assert np.array_equal(pixels_of(scaled, value_range=value_range, grey=True)[..., 0], levels)


@given(st.integers(0, 254), st.sampled_from([(0, 1), (-1, 1)]))
def test_halves_are_rounded_to_even(level: int, value_range: ValueRange) -> None:
    low, high = value_range
    half = np.full((1, 1, 1), (level + 0.5) / 255 * (high - low) + low)
    if (half - low) * (255 / (high - low)) == level + 0.5:  # else the half is none by the time that it is written down
        assert pixels_of(half, value_range=value_range, grey=True)[0, 0, 0, 0] == level + level % 2


def test_numbers_a_rounding_beyond_the_range_are_its_ends() -> None:
    batch = np.array([[[-1.0000001, 1.0000001]]], np.float32)
    assert pixels_of(batch, value_range=(-1, 1), grey=True).ravel().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("batch", "named", "error", "words"),
    [
        (PIXELS / 255, {}, InvalidRequest, "value_range: real numbers need it"),
        (PIXELS / 255, {"value_range": (0, 255)}, InvalidRequest, r"\(0, 255\) is neither \(0, 1\) nor \(-1, 1\)"),
        (PIXELS.astype(np.float32), {"value_range": (0, 1)}, InvalidSamples, "values from 0 to 255, outside"),
        (PIXELS / 127.5 - 1, {"value_range": (0, 1)}, InvalidSamples, "values from -1 to 1, outside"),
        (np.full((1, 5, 6), np.nan), {"value_range": (0, 1)}, InvalidSamples, "nan"),
        (PIXELS.astype(np.int64), {}, InvalidSamples, "The batch is int64; uint8, or real numbers"),
        (PIXELS, {"layout": "NCHW"}, InvalidSamples, r"shape \(5, 7, 6, 3\); NCHW or \(n, H, W\) with 1 or 3"),
        (PIXELS, {"layout": "CHWN"}, InvalidRequest, "'CHWN' is neither NCHW nor NHWC"),
        (PIXELS[0, 0], {}, InvalidSamples, r"shape \(6, 3\)"),
        (np.zeros((2, 5, 4, 4), np.uint8), {}, InvalidSamples, "with 1 or 3 channels"),
        ("nothing", {}, InvalidSamples, r"shape \(\)"),
    ],
)
def test_what_is_no_batch_of_images_is_said(
    batch: object, named: dict[str, object], error: type[ServiceError], words: str
) -> None:
    with pytest.raises(error, match=words):
        pixels_of(batch, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(12, 12, 1), (12, 12, 3), (12, 12, 4), (3, 12, 12), (4, 12, 12)])
def test_one_image_is_not_taken_for_many(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    with pytest.raises(InvalidSamples, match=f"may be one image or {shape[0]} grey ones"):
        pixels_of(image)
    assert pixels_of(image, grey=True).shape == (*shape, 1)


def test_a_range_may_be_a_list() -> None:
    assert pixels_of(np.ones((5, 6, 7)), value_range=[-1, 1]).max() == 255  # type: ignore[arg-type]


def test_a_tensor_that_learns_is_read_all_the_same() -> None:
    tensor = torch.arange(3.0).requires_grad_()
    assert array_of(tensor).tolist() == [0, 1, 2]


def test_torch_is_not_loaded_for_arrays() -> None:
    program = "import sys, numpy, service.batches as b; b.array_of(numpy.zeros(3)); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
