"""Images as programs hold them (paths, bytes, open files, arrays, tensors, Pillow's) as the files that are sent."""

import io
import sys
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias, Union

from typing_extensions import TypeIs  # of the standard library from Python 3.13 on

from service.batches import CHANNELS, Array, Layout, ValueRange, array_of, is_array, pixels_of
from service.errors import InvalidSamples

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Image: TypeAlias = Union[str, PathLike[str], bytes, BinaryIO, Array, "PillowImage"]
"""One image: a path, the bytes of a file or an open one, pixels with or without an axis of channels, or Pillow's."""
Images: TypeAlias = Image | Sequence[Image]
"""One, several, or pixels (n, H, W, C) or (n, C, H, W)."""

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""What Pillow can write as PNG as it is; other modes go as TIFF."""


class ImageFile(NamedTuple):
    """An image as it is sent."""

    name: str | None
    """The path that it was read from."""
    data: bytes


def image_files(
    images: Images, *, layout: Layout | None = None, value_range: ValueRange | None = None
) -> Iterator[ImageFile]:
    """The files of images, one after the other. Raises InvalidSamples and InvalidRequest for arrays of no images."""
    if is_pillow(images):
        yield ImageFile(None, _of_pillow(images))
    elif isinstance(images, str | PathLike):
        yield ImageFile(fspath(images), Path(images).read_bytes())
    elif isinstance(images, bytes):
        yield ImageFile(None, images)
    elif is_open(images):
        yield ImageFile(None, images.read())
    elif is_array(images):
        yield from _of_pixels(images, layout, value_range)
    else:
        for image in images:
            yield from image_files(image, layout=layout, value_range=value_range)


def one_image(image: Image | None, *, layout: Layout | None, value_range: ValueRange | None) -> bytes:
    """The file of a single image, empty for none. Raises InvalidSamples and InvalidRequest."""
    files = [] if image is None else list(image_files(image, layout=layout, value_range=value_range))
    if len(files) > 1:
        raise InvalidSamples(f"One image is explained at a time, not {len(files)}.")
    return files[0].data if files else b""


def is_pillow(given: Any) -> "TypeIs[PillowImage]":
    """Whether this is an image of Pillow's, which is not loaded to find out."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(given, pillow.Image)


def is_open(given: Any) -> TypeIs[BinaryIO]:
    """Whether this is an open file."""
    return hasattr(given, "read")


def _of_pixels(pixels: Array, layout: Layout | None, value_range: ValueRange | None) -> Iterator[ImageFile]:
    from service.packing.pngs import PNGs  # the decoders come with it

    found = array_of(pixels)
    if found.ndim not in (2, 3, 4) or (found.ndim == 3 and not {found.shape[0], found.shape[2]} & set(CHANNELS)):
        raise InvalidSamples(
            f"An array of shape {found.shape} is no image: (H, W), (H, W, C) or (C, H, W) with 1 or 3 channels is"
            " needed; several are (n, H, W, C) or (n, C, H, W)."
        )
    one = found if found.ndim == 4 else found[None]
    batch = pixels_of(one, layout=layout, value_range=value_range, grey=True)
    for file in PNGs(batch.shape[1:]).encode(batch):
        yield ImageFile(None, file)


def _of_pillow(image: "PillowImage") -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG" if image.mode in PNG_MODES else "TIFF")
    return stream.getvalue()
