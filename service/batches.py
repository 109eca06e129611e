"""Arrays as programs hold them, NumPy's or torch's, as arrays of NumPy and as pixels; torch is not loaded for it."""

import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeIs  # of the standard library from Python 3.13 on

from service.errors import InvalidRequest, InvalidSamples

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = Union[NDArray[Any], "Tensor"]
"""What NumPy reads, and tensors of torch on any device."""
Layout = Literal["NCHW", "NHWC"]
ValueRange = tuple[float, float]

VALUE_RANGES: tuple[ValueRange, ...] = ((0, 1), (-1, 1))
ROUNDING = 1e-3
"""So much beyond its range a number is still taken for one at its end."""
CHANNELS = (1, 3)
COLOURS_AND_ALPHA = (3, 4)
MOST_CHANNELS = 4
"""Up to so many a last axis may be channels."""
LAYOUTS: dict[Layout, int] = {"NCHW": 1, "NHWC": 3}
"""Each with the axis of its channels."""


def is_array(given: Any) -> TypeIs[Array]:
    """Whether this is an array, of NumPy, torch or another library that NumPy reads."""
    return hasattr(given, "__array__")


def array_of(values: Array) -> NDArray[Any]:
    """The numbers of an array, copied from another device where they lie there; bfloat16 becomes float32."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(values, torch.Tensor):
        return np.asarray(values)
    tensor = values.detach().cpu()
    found: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found


def pixels_of(
    batch: Array, *, layout: Layout | None = None, value_range: ValueRange | None = None, grey: bool = False
) -> NDArray[np.uint8]:
    """Pixels uint8 (n, H, W, C) of a batch (n, H, W), (n, H, W, C) or (n, C, H, W), C of 1 or 3.

    `layout` says which of the two, and may be left out where only one of the axes can be that of the channels. Floats
    need `value_range`, (0, 1) or (−1, 1), and are rounded to 8 bits, halves to even. Three axes that could be those of
    one image are refused, unless it is known that they are `grey` ones. Raises InvalidSamples, and InvalidRequest for
    an argument that cannot be.
    """
    images = array_of(batch)
    if images.ndim == 3:
        if not grey and may_be_one_image(images.shape):
            raise InvalidSamples(
                f"The batch of shape {images.shape} may be one image or {images.shape[0]:,} grey ones; give it an axis"
                " more: one image is (1, C, H, W) or (1, H, W, C), grey ones are (n, 1, H, W) or (n, H, W, 1)."
            )
        images = images[..., None]
    elif _layout_of(images, layout) == "NCHW":
        images = np.moveaxis(images, 1, 3)
    return np.ascontiguousarray(_to_8_bits(images, value_range))


def may_be_one_image(shape: tuple[int, ...]) -> bool:
    """Whether three axes may be those of one image and its channels, not of grey images (n, H, W)."""
    return shape[0] in COLOURS_AND_ALPHA or shape[2] <= MOST_CHANNELS


def _layout_of(images: NDArray[Any], given: Layout | None) -> Layout:
    if given is not None and given not in LAYOUTS:
        raise InvalidRequest.of_field("layout", f"{given!r} is neither NCHW nor NHWC")
    if images.ndim == 4:
        possible = [name for name, axis in LAYOUTS.items() if images.shape[axis] in CHANNELS and given in (name, None)]
        if len(possible) == 1:
            return possible[0]
        if possible:
            raise InvalidRequest.of_field(
                "layout", f"images of shape {images.shape} may be NCHW or NHWC; say which they are"
            )
    wanted = "(n, H, W), (n, C, H, W) or (n, H, W, C)" if given is None else f"{given} or (n, H, W)"
    raise InvalidSamples(f"The batch has shape {images.shape}; {wanted} with 1 or 3 channels is needed.")


def _to_8_bits(images: NDArray[Any], value_range: ValueRange | None) -> NDArray[np.uint8]:
    if value_range is not None and tuple(value_range) not in VALUE_RANGES:
        raise InvalidRequest.of_field("value_range", f"{value_range!r} is neither (0, 1) nor (-1, 1)")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise InvalidSamples(f"The batch is {images.dtype}; uint8, or real numbers and their value_range, are needed.")
    if value_range is None:
        raise InvalidRequest.of_field("value_range", "real numbers need it: (0, 1) or (-1, 1)")
    low, high = value_range
    if images.size and not (images.min() >= low - ROUNDING and images.max() <= high + ROUNDING):  # a NaN is neither
        found = f"{images.min():.4g} to {images.max():.4g}"
        raise InvalidSamples(f"The batch holds values from {found}, outside the value_range {value_range}.")
    levels = np.rint((images.astype(np.float64) - low) * (255.0 / (high - low)))
    return levels.clip(0, 255).astype(np.uint8)
