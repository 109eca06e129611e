"""Image files to pixels and back: one decoder for every process, so that every process sees the same pixels.

PNG of 8-bit grey or RGB goes through libspng (pyspng), everything else through Pillow; both are exact for PNG.
`benchmarks/decoders.py` holds the measurement behind the choice.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyspng
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL import __version__ as pillow_version

from service.errors import UnreadableImage

Pixels = NDArray[np.uint8]
Filter = Literal["bicubic", "bilinear"]

DECODER = f"libspng (pyspng) and Pillow {pillow_version}"
MEDIA_TYPES = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/bmp",
        "image/gif",
        "image/tiff",
        "image/x-portable-anymap",
    }
)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_PNG_HEADER = struct.Struct(">8s4x4sIIBB")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB = 0, 2
_PNG_SPECIAL = (b"tRNS", b"eXIf")
"""A transparent value and a camera's orientation: what libspng leaves to us and Pillow applies."""
_BITS_A_SAMPLE = 258  # TIFF's tag
_ORIENTATION = 0x0112

PALETTE = "had a palette, which was resolved"
ALPHA = "were transparent in places and were laid over black"
DEPTH = "had 16 bits a channel and were scaled to 8"
INKS = "were in CMYK or another space than RGB and were converted to it"
FRAMES = "had several frames, of which the first was taken"
TURNED = "were turned upright, as the camera noted"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels (H, W, 1) or (H, W, 3), and what had to be done to the image for that, in the words above."""

    pixels: Pixels
    alterations: tuple[str, ...] = ()


def decode(data: bytes, *, limit_pixels: int) -> Pixels:
    """Pixels (H, W, 1) or (H, W, 3) of an image file, as `read_picture` finds them."""
    return read_picture(data, limit_pixels=limit_pixels).pixels


def read_picture(data: bytes, *, limit_pixels: int) -> Picture:
    """An image file.

    Palettes are resolved, alpha is laid over black, 16 bits are scaled to 8 (grey rounded, colour by its high byte),
    other spaces become RGB, the first frame is taken and the orientation that a camera noted is applied. Raises
    UnreadableImage, before decoding where the header says that the image has more than `limit_pixels`.
    """
    if not data:
        raise UnreadableImage("The body is empty; send one image.")
    if data.startswith(_PNG_SIGNATURE) and len(data) >= _PNG_HEADER.size:
        _, _, width, height, depth, colour = _PNG_HEADER.unpack_from(data)
        _refuse_large(width, height, limit_pixels)
        before_pixels = data[: data.find(b"IDAT")]
        if depth == 8 and colour in (_PNG_GREY, _PNG_RGB) and not any(name in before_pixels for name in _PNG_SPECIAL):
            return Picture(_decode_png(data))
    return _decode_any(data, limit_pixels)


def _refuse_large(width: int, height: int, limit_pixels: int) -> None:
    if width * height > limit_pixels:
        raise UnreadableImage(f"The image is {width}×{height}; at most {limit_pixels:,} pixels are decoded.")


def _decode_png(data: bytes) -> Pixels:
    try:
        pixels: Pixels = pyspng.load(data)
    except (RuntimeError, ValueError) as error:
        raise UnreadableImage(f"The PNG is damaged: {str(error).rpartition(': ')[2]}.") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _decode_any(data: bytes, limit_pixels: int) -> Picture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limit below is ours, and stricter than Pillow's warning
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _refuse_large(*image.size, limit_pixels)
            return Picture(_to_pixels(image), _alterations(image, data))
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"The bytes are not one of the formats {', '.join(FORMATS)}.") from error
    except UnreadableImage:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, struct.error) as error:
        raise UnreadableImage(f"The image is damaged: {error}.") from error


def _to_pixels(image: Image.Image) -> Pixels:
    image.load()
    orientation = image.getexif().get(_ORIENTATION, 1)
    if image.mode.startswith("I") or image.mode == "F":
        return _scale_deep(np.asarray(image))
    wanted = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = _over_black(image.convert("RGBA"))
    image = image.convert(wanted)
    pixels = np.asarray(image)
    return _upright(pixels if pixels.ndim == 3 else pixels[:, :, None], orientation)


def _alterations(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """What `_to_pixels` does to an image that has been loaded."""
    done = {
        PALETTE: image.mode in ("P", "PA"),
        ALPHA: image.has_transparency_data and bool(np.asarray(image.convert("RGBA"))[:, :, 3].min() < 255),
        DEPTH: _bits(image, data) > 8,
        INKS: image.mode in ("CMYK", "LAB", "HSV", "YCbCr"),
        FRAMES: getattr(image, "is_animated", False),
        TURNED: image.getexif().get(_ORIENTATION, 1) in range(2, 9),
    }
    return tuple(words for words, was_done in done.items() if was_done)


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits of one channel in the file; Pillow's mode tells them of grey only."""
    if image.format == "PNG":
        return int(_PNG_HEADER.unpack_from(data)[4])
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_A_SAMPLE, (1,))))  # type: ignore[attr-defined]
    return 16 if image.mode.startswith("I") else 8


def _over_black(image: Image.Image) -> Image.Image:
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image).convert("RGB")


def _scale_deep(values: NDArray[Any]) -> Pixels:
    """16-bit grey to 8 bits, rounding, as libpng's scaling does. Raises UnreadableImage for what is no 16-bit grey."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise UnreadableImage("The image's numbers are no grey of 8 or 16 bits; what is white is not known.")
    eight = (values.astype(np.float64) * (255.0 / 65535.0) + 0.5).clip(0, 255).astype(np.uint8)
    return eight[:, :, None]


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def conform(
    image: Pixels,
    *,
    size: tuple[int, int],
    channels: int,
    shorter: int | None = None,
    resampling: Filter = "bilinear",
) -> Pixels:
    """Pixels (H, W, `channels`) of height and width `size`.

    With `shorter`, the image's shorter side is resized to that and the middle cut out; else the whole is squeezed.

    Colour becomes grey by ITU-R 601 luma, grey is repeated into colour; another size is resized by Pillow's
    antialiased filter of the name, which rounds to 8 bits. Pixels that already fit are returned as they are.
    """
    if image.shape[2] != channels:
        image = _recolour(image, channels)
    if image.shape[:2] == tuple(size):
        return image
    if shorter is not None:
        return _middle(_resize(image, _with_shorter_side(image, shorter), resampling), size)
    return _resize(image, size, resampling)


def _with_shorter_side(image: Pixels, shorter: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    return (shorter, shorter * width // height) if height <= width else (shorter * height // width, shorter)


def _middle(image: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of an image, of an odd gap by torchvision's rounding; black where it is smaller than `size`."""
    height, width = size
    missing = [max(0, wanted - there) for wanted, there in zip(size, image.shape, strict=False)]
    if any(missing):
        image = np.pad(image, [*((gap // 2, gap - gap // 2) for gap in missing), (0, 0)])
    top, left = (round((there - wanted) / 2) for there, wanted in zip(image.shape, size, strict=False))
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _resize(image: Pixels, size: tuple[int, int], resampling: Filter) -> Pixels:
    height, width = size
    channels = image.shape[2]
    flat = image[:, :, 0] if channels == 1 else image
    resized = np.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling[resampling.upper()]))
    return resized.reshape(height, width, channels)


def _recolour(image: Pixels, channels: int) -> Pixels:
    if channels == 1:
        return np.asarray(Image.fromarray(image).convert("L"))[:, :, None]
    return np.repeat(image, channels, axis=2)


def encode_png(image: Pixels) -> bytes:
    """A PNG file of pixels (H, W, 1) or (H, W, 3)."""
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def tile(images: Pixels, *, gap: int = 2, columns: int | None = None) -> Pixels:
    """Images (N, H, W, C) as one grid on black, row by row, `gap` pixels apart; near-square unless told its columns."""
    count, height, width, channels = images.shape
    columns = columns or max(1, int(np.ceil(np.sqrt(count))))
    rows = -(-count // columns)
    grid = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8)
    for place, image in enumerate(images):
        top = gap + (place // columns) * (height + gap)
        left = gap + (place % columns) * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid
