"""Image files to pixels: what was done to an image for that is said with it, and what is damaged is refused.

PNG of 8-bit grey or RGB goes through libspng (pyspng), JPEG through libjpeg-turbo (simplejpeg), everything else through
Pillow; the first is exact, and the second equals Pillow's to the last bit. `benchmarks/decoders.py` holds the
measurement behind the choice.
"""

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import __version__ as pillow_version
from pyspng._pyspng_c import SPNG_FMT_AUTO
from pyspng._pyspng_c import spng_decode_image_bytes as decode_png

from service.errors import UnreadableImage
from service.imaging import jpeg, png
from service.imaging.ends import bytes_behind_pixels, rest_bytes
from service.imaging.pixels import Pixels

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

DECODER = f"libspng (pyspng), libjpeg-turbo (simplejpeg) and Pillow {pillow_version}"
MEDIA_TYPES = frozenset(
    {
        "image/png",
        "image/x-png",
        "image/jpeg",
        "image/jpg",
        "image/pjpeg",
        "image/webp",
        "image/bmp",
        "image/x-bmp",
        "image/x-ms-bmp",
        "image/gif",
        "image/tiff",
        "image/tif",
        "image/x-tiff",
        "image/x-portable-anymap",
        "image/x-portable-graymap",
        "image/x-portable-pixmap",
        "image/x-portable-bitmap",
    }
)
"""Names under which images are sent, also those that nobody registered; the bytes decide."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_BITS_A_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF's tags
_WHITE_IS_ZERO = 0
_ORIENTATION = 0x0112
ORIENTED = (jpeg.EXIF, b"tiff:Orientation")
"""Where a camera's note of it may stand in a JPEG: in Exif, or in XMP."""
logging.getLogger("PIL").setLevel(logging.CRITICAL)  # a damaged image is its sender's affair
DEEPEST_BITS, DEEP_WHITE = 16, 65535
NO_END = sys.maxsize
"""Enough pixels for whoever wants all of them."""

PALETTE = "had a palette, which was resolved"
ALPHA = "were transparent in places and were laid over black"
DEPTH = "had 16 bits a channel and were scaled to 8"
INKS = "were in CMYK or another space than RGB and were converted to it"
FRAMES = "had several frames, of which the first was taken"
TURNED = "were turned upright, as the camera noted"
REST = "had bytes behind the end of the image, which were not used"
REDUCED = "were read at 1/{} of the size that is stored"


class Picture(NamedTuple):
    """Pixels (H, W, 1) or (H, W, 3), and what had to be done to the image for that, in the words above.

    opacity: uint8 (H, W) where it was transparent in places; the pixels lie over black
    lowest, highest, white: the smallest and the largest number in it, and the one that stands for white
    part: of which part of its size it was read, 1/part
    """

    pixels: Pixels
    alterations: tuple[str, ...] = ()
    opacity: Pixels | None = None
    extremes: tuple[int, int] | None = None
    white: int = 255
    part: int = 1

    @property
    def lowest(self) -> int:
        """The smallest number in the image, as it was stored."""
        return int(self.pixels.min()) if self.extremes is None else self.extremes[0]

    @property
    def highest(self) -> int:
        """The largest number in the image, as it was stored."""
        return int(self.pixels.max()) if self.extremes is None else self.extremes[1]


def decode(data: bytes, *, limit_pixels: int) -> Pixels:
    """Pixels (H, W, 1) or (H, W, 3) of an image file, as `read_picture` finds them."""
    return read_picture(data, limit_pixels=limit_pixels).pixels


def read_picture(data: bytes, *, limit_pixels: int, enough: int = NO_END) -> Picture:
    """An image file; a JPEG of which no side is shorter than `enough` when it is read in part, at a half or less.

    Palettes are resolved, alpha is laid over black, 16 bits are scaled to 8 (grey rounded, colour by its high byte),
    other spaces become RGB, the first frame is taken and the orientation that a camera noted is applied. Raises
    UnreadableImage for what is damaged, and, before decoding, where the header says that the image has more than
    `limit_pixels`.
    """
    if not data:
        raise UnreadableImage("The body is empty; send one image.")
    if data.startswith(png.SIGNATURE):
        return _read_png(data, limit_pixels)
    if data.startswith(jpeg.START):
        return _read_jpeg(data, limit_pixels, enough)
    return _read_any(data, limit_pixels, behind=rest_bytes(data))


def claimed_pixels(data: bytes) -> int | None:
    """How many pixels an image file says it has, without decoding any; None where it says nothing that is understood.

    What it says is not checked: only `read_picture` knows whether the file is whole.
    """
    if data.startswith(png.SIGNATURE):
        return png.claimed_pixels(data)
    if data.startswith(jpeg.START):
        layout = jpeg.layout_of(data)
        return None if layout is None else layout.width * layout.height
    try:
        with _opened(data, sys.maxsize) as image:
            return image.width * image.height
    except UnreadableImage:
        return None


def _refuse_large(width: int, height: int, limit_pixels: int) -> None:
    if width * height > limit_pixels:
        raise UnreadableImage(f"The image is {width}×{height}; at most {limit_pixels:,} pixels are decoded.")


def _read_png(data: bytes, limit_pixels: int) -> Picture:
    layout = png.layout_of(data)
    _refuse_large(layout.width, layout.height, limit_pixels)
    if not layout.is_plain:
        return _read_any(data, limit_pixels, behind=layout.rest_bytes, depth=layout.depth)
    try:
        pixels: Pixels = decode_png(data, SPNG_FMT_AUTO)
    except (RuntimeError, ValueError) as error:
        raise UnreadableImage(f"The PNG is damaged: {str(error).rpartition(': ')[2]}.") from error
    return Picture(pixels, (REST,) if layout.rest_bytes else ())


def _read_jpeg(data: bytes, limit_pixels: int, enough: int) -> Picture:
    head = jpeg.head_of(data)
    layout, rest = jpeg.layout_of(data), jpeg.rest_bytes(data, head)
    if layout is None:
        return _read_any(data, limit_pixels, behind=rest)
    _refuse_large(layout.width, layout.height, limit_pixels)
    part = jpeg.part_of(layout, enough)
    pixels = jpeg.decode(data, layout, part)
    if layout.space not in jpeg.COLOURS:
        return _read_any(data, limit_pixels, behind=rest)  # inks, now known to be whole
    orientation = _orientation_of(data, limit_pixels) if any(mark in head for mark in ORIENTED) else 1
    done = {TURNED: orientation != 1, REDUCED.format(part): part > 1, REST: rest > 0}
    return Picture(_upright(pixels, orientation), _words(done), part=part)


def _orientation_of(data: bytes, limit_pixels: int) -> int:
    with _opened(data, limit_pixels) as image:
        return _noted_in(image)


def _noted_in(image: "ImageFile") -> int:
    """The orientation that a camera noted, in Exif or in XMP; 1 where it noted none that there is."""
    noted = image.getexif().get(_ORIENTATION)
    return noted if isinstance(noted, int) and noted in range(2, 9) else 1


def _read_any(data: bytes, limit_pixels: int, *, behind: int, depth: int | None = None) -> Picture:
    with _opened(data, limit_pixels) as image:
        behind = behind or bytes_behind_pixels(image, data)
        bits, noted = depth or _bits(image), _noted_in(image)
        image.load()
        orientation = _noted_in(image)  # what is left to do: of a TIFF nothing, which Pillow has turned by now
        done = {
            PALETTE: image.mode in ("P", "PA"),
            DEPTH: bits > 8,
            INKS: image.mode in ("CMYK", "LAB", "HSV", "YCbCr"),
            FRAMES: getattr(image, "is_animated", False),
            TURNED: noted != 1,
            REST: behind > 0,
        }
        is_deep = image.mode.startswith("I") or image.mode == "F"
        found = _deep(image, bits) if is_deep else _shallow(image)
    pixels = _upright(found.pixels, orientation)
    opacity = None if found.opacity is None else _upright(found.opacity, orientation)
    return found._replace(pixels=pixels, opacity=opacity, alterations=(*found.alterations, *_words(done)))


def _shallow(image: "Image.Image") -> Picture:
    """An image of 8 bits a channel, or whose deeper colours Pillow has brought to that."""
    wanted = "L" if image.mode in ("1", "L", "LA") else "RGB"
    opacity = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        opacity = np.asarray(image)[:, :, 3]
        image = _over_black(image)
    pixels = np.asarray(image.convert(wanted))
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    if opacity is None or opacity.min() == 255:
        return Picture(pixels)
    return Picture(pixels, (ALPHA,), opacity)


def _deep(image: "Image.Image", bits: int) -> Picture:
    """16-bit grey, rounded to 8 bits as libpng's scaling does. Raises UnreadableImage for what is no 16-bit grey."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or bits > DEEPEST_BITS or values.min() < 0 or values.max() > DEEP_WHITE:
        raise UnreadableImage("The image's numbers are no grey of 8 or 16 bits; what is white is not known.")
    if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # type: ignore[attr-defined]
        values = DEEP_WHITE - values  # Pillow turns only shallower ones
    eight = (values.astype(np.float64) * (255.0 / DEEP_WHITE) + 0.5).clip(0, 255).astype(np.uint8)
    found = Picture(eight[:, :, None], (), None, (int(values.min()), int(values.max())), DEEP_WHITE)
    clear = values == image.info.get("transparency", -1)  # the one value that a PNG calls transparent
    if not clear.any():
        return found
    opacity = np.where(clear, 0, 255).astype(np.uint8)
    return found._replace(pixels=np.where(clear[:, :, None], 0, found.pixels), alterations=(ALPHA,), opacity=opacity)


@contextmanager
def _opened(data: bytes, limit_pixels: int) -> Iterator["ImageFile"]:
    """An image file that Pillow reads. Raises UnreadableImage for all that Pillow raises, also while it is read."""
    from PIL import Image, UnidentifiedImageError

    if Image.MAX_IMAGE_PIXELS is not None and limit_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit_pixels  # Pillow's own limit, which is all of the process's, gives way to ours
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limit below is ours, and stricter than Pillow's warning
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _refuse_large(*image.size, limit_pixels)
            yield image
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"The bytes are not one of the formats {', '.join(FORMATS)}.") from error
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow raises whatever its arithmetic with foreign bytes comes to
        raise UnreadableImage(f"The image is damaged: {error}.") from error


def _bits(image: "Image.Image") -> int:
    """Bits of one channel in a file that is no PNG; Pillow's mode tells them of grey only."""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_A_SAMPLE, (1,))))  # type: ignore[attr-defined]
    return 16 if image.mode.startswith("I") else 8


def _over_black(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image).convert("RGB")


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _words(done: dict[str, bool]) -> tuple[str, ...]:
    return tuple(words for words, was_done in done.items() if was_done)
