"""Nothing is done to an image, and nothing of it left out, without a word."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from service.errors import UnreadableImage
from service.imaging import read_picture
from service.imaging.reading import ALPHA, DEPTH, FRAMES, PALETTE, REST, TURNED, Picture

GREY = np.arange(30, dtype=np.uint8).reshape(6, 5) * 8
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def read(data: bytes) -> Picture:
    return read_picture(data, limit_pixels=1_000_000)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    noted = Image.Exif()
    noted[0x0112] = orientation
    return noted


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_that_is_turned_says_so(kind: str) -> None:
    image = Image.fromarray(GREY)
    assert TURNED in read(saved(image, kind, exif=exif(6))).alterations
    for none in (1, 9):
        assert TURNED not in read(saved(image, kind, exif=exif(none))).alterations


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P"])
def test_an_orientation_noted_in_xmp_counts_whoever_decodes_the_image(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP)
    found = read(saved(image, "PNG", pnginfo=text))
    np.testing.assert_array_equal(found.pixels[:, :, 0], np.rot90(GREY, -1))
    assert TURNED in found.alterations


def test_a_jpeg_with_its_orientation_in_xmp_is_turned() -> None:
    found = read(saved(Image.fromarray(GREY), "JPEG", xmp=XMP.encode()))
    assert found.pixels.shape == (5, 6, 1)
    assert found.alterations == (TURNED,)


def test_an_orientation_that_is_no_number_turns_nothing() -> None:
    noted = b"Exif\0\0II*\0" + struct.pack("<IHHHI4sI", 8, 1, 0x0112, 2, 2, b"6\0", 0)
    assert read(saved(Image.fromarray(GREY), "JPEG", exif=noted)).alterations == ()


def test_the_value_that_a_deep_png_calls_transparent_lies_over_black() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 65535, 30000, 30001)))
    transparent = chunk(b"tRNS", struct.pack(">H", 30000))
    found = read(b"\x89PNG\r\n\x1a\n" + header + transparent + pixels + chunk(b"IEND", b""))
    assert found.pixels[0, :, 0].tolist() == [255, 0, 117]
    assert found.opacity is not None
    assert found.opacity[0].tolist() == [255, 0, 255]
    assert found.alterations == (ALPHA, DEPTH)


def gif(frames: int = 1) -> bytes:
    images = [Image.fromarray(GREY + n) for n in range(frames)]
    return saved(images[0], "GIF", save_all=True, append_images=images[1:])


@pytest.mark.parametrize("frames", [1, 3])
def test_what_lies_behind_the_end_of_a_gif_is_named(frames: int) -> None:
    more = (FRAMES,) if frames > 1 else ()
    assert read(gif(frames)).alterations == (PALETTE, *more)
    assert read(gif(frames) + b"more").alterations == (PALETTE, *more, REST)


@pytest.mark.parametrize("lost", [1, 2, 20])
def test_a_gif_that_lost_its_end_is_refused(lost: int) -> None:
    for frames in (1, 3):
        with pytest.raises(UnreadableImage, match="ends before its end mark"):
            read(gif(frames)[:-lost])


@pytest.mark.parametrize(
    ("whole", "more"),
    [
        (b"P5 5 6 15\n" + bytes(30), bytes(3)),
        (b"P5 5 6 4095\n" + bytes(60), bytes(30)),
        (b"P2 2 1 9 # two\n7 # seven\n8", b" 9"),
        (b"P1 2 2\n1001", b"1"),
        (b"P3 1 1 255\n1 2 3", b" 4 5 6"),
    ],
)
def test_what_lies_behind_the_pixels_of_a_pnm_of_any_kind_is_named(whole: bytes, more: bytes) -> None:
    assert REST not in read(whole).alterations
    assert REST in read(whole + more).alterations
