import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import UnreadableImage
from service.imaging import FRAMES, conform, decode, encode_png, read_picture, tile
from service.imaging.reading import ALPHA, PALETTE, REST, TURNED

LIMIT = 1_000_000
DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (6, 5, 3), np.uint8)
GREY = DRAW.integers(0, 256, (6, 5, 1), np.uint8)
DEEP = DRAW.integers(0, 65536, (6, 5)).astype(np.uint16)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(header: bytes, *chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def huge_png(width: int, height: int, *, colour: int = 0, depth: int = 8) -> bytes:
    """A PNG of a few bytes that says it is enormous; its pixels would not even begin well."""
    return png(struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0), chunk(b"IDAT", b"no pixels"))


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_what_is_saved_without_loss_is_read_without_loss(pixels: NDArray[np.uint8], kind: str) -> None:
    image = Image.fromarray(pixels.squeeze())
    found = decode(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {})), limit_pixels=LIMIT)
    wanted = np.repeat(pixels, 3, axis=2) if kind == "WEBP" and pixels is GREY else pixels  # WebP is always in colour
    np.testing.assert_array_equal(found, wanted)


def test_a_jpeg_is_read_nearly_as_it_was_saved() -> None:
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    found = decode(saved(Image.fromarray(smooth), "JPEG", quality=95), limit_pixels=LIMIT)
    assert found.shape == (64, 64, 1)
    assert abs(found[:, :, 0].astype(int) - smooth).max() <= 8  # quantisation of JPEG at quality 95


def test_both_decoders_see_the_same_pixels_in_a_png() -> None:
    for pixels in (COLOUR, GREY):
        image = Image.fromarray(pixels.squeeze())
        plain, interlaced = saved(image, "PNG"), saved(image, "PNG", compress_level=9)
        np.testing.assert_array_equal(decode(plain, limit_pixels=LIMIT), decode(interlaced, limit_pixels=LIMIT))


def test_a_palette_is_resolved() -> None:
    image = Image.fromarray(COLOUR).quantize(8)
    for kind in ("PNG", "GIF"):
        found = decode(saved(image, kind), limit_pixels=LIMIT)
        np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("mode", "clear"), [("L", 200), ("RGB", (200, 1, 2)), ("P", 0)], ids=["grey", "colour", "palette"]
)
def test_a_value_that_stands_for_transparency_becomes_black(mode: str, clear: int | tuple[int, ...]) -> None:
    image = Image.new(mode, (2, 1), clear)
    image.putpixel((1, 0), 1 if mode == "P" else 100 if mode == "L" else (100, 100, 100))
    found = decode(saved(image, "PNG", transparency=clear), limit_pixels=LIMIT)
    assert found[0, 0].max() == 0
    assert mode == "P" or found[0, 1].tolist() in ([100], [100, 100, 100])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_black(mode: str) -> None:
    see_through = np.array([[0, 255]], np.uint8)
    image = Image.new(mode, (2, 1), (200,) * len(mode))
    image.putalpha(Image.fromarray(see_through))
    found = decode(saved(image, "PNG"), limit_pixels=LIMIT)
    assert found.shape == (1, 2, 3 if mode == "RGBA" else 1)
    assert found[0, :, 0].tolist() == [0, 200]


def test_sixteen_bits_are_scaled_to_eight() -> None:
    for kind in ("PNG", "TIFF"):
        found = decode(saved(Image.fromarray(DEEP), kind), limit_pixels=LIMIT)
        np.testing.assert_array_equal(found[:, :, 0], np.floor(DEEP / 65535 * 255 + 0.5))


def test_one_bit_is_black_and_white() -> None:
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    assert decode(saved(image, "PNG"), limit_pixels=LIMIT)[:, :, 0].tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_a_camera_noted_is_applied(orientation: int, kind: str) -> None:
    image = Image.fromarray(np.kron(COLOUR, np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, kind, exif=exif.tobytes())
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, limit_pixels=LIMIT), np.asarray(upright))


def test_only_the_first_frame_is_taken() -> None:
    frames = [Image.new("L", (3, 2), value) for value in (10, 200)]
    found = decode(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), limit_pixels=LIMIT)
    assert found.shape[:2] == (2, 3)
    assert (found == 10).all()


@pytest.mark.parametrize(
    "data", [huge_png(20_000, 20_000), huge_png(20_000, 20_000, colour=3), huge_png(2**31 - 1, 2**31 - 1, depth=16)]
)
def test_an_enormous_image_is_refused_before_it_is_decoded(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match=r"The image is [0-9×]+; at most 67,108,864 pixels are decoded"):
        decode(data, limit_pixels=64 * 2**20)


def test_the_limit_holds_for_every_format() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"):
        data = saved(Image.fromarray(COLOUR), kind)
        assert decode(data, limit_pixels=30).shape == (6, 5, 3)
        with pytest.raises(UnreadableImage, match="The image is 5×6; at most 29 pixels"):
            decode(data, limit_pixels=29)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The body is empty; send one image"),
        (b"hello", "not one of the formats PNG, JPEG"),
        (b"\x89PNG\r\n\x1a\n", "not one of the formats|damaged"),
        (encode_png(GREY)[:-20], "The PNG is damaged"),
        (encode_png(GREY)[:40], "The PNG is damaged"),
        (huge_png(4, 4), "The PNG is damaged"),
        (huge_png(4, 4, colour=3), "The image is damaged"),
        (saved(Image.fromarray(COLOUR), "JPEG")[:200], "The image is damaged"),
        (
            saved(Image.fromarray(GREY[:, :, 0]), "GIF")[:-1] + b"!\xf9\x04\x01\0\0\0\0,\0\0\0\0\7\0\5\0\0",
            "The GIF is damaged",
        ),
    ],
)
def test_bytes_that_are_no_whole_image_are_said_to_be_none(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data, limit_pixels=LIMIT)


def test_damage_anywhere_is_an_unreadable_image_or_other_pixels_and_nothing_else(
    capfd: pytest.CaptureFixture[str],
) -> None:
    draw = random.Random(0)
    image = Image.fromarray(COLOUR)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"):
        whole = saved(image.convert("P") if kind == "PNG" else image, kind)
        for _ in range(150):
            damaged = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])] or b"\0")
            for _ in range(draw.randint(0, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            try:
                found = decode(bytes(damaged), limit_pixels=LIMIT)
            except UnreadableImage:
                continue
            assert found.dtype == np.uint8
            assert found.shape[2] in (1, 3)
    capfd.readouterr()  # libtiff complains there


def test_pixels_that_fit_are_returned_as_they_are() -> None:
    assert conform(COLOUR, size=(6, 5), channels=3) is COLOUR


def test_grey_is_repeated_into_colour_and_colour_becomes_its_luma() -> None:
    np.testing.assert_array_equal(conform(GREY, size=(6, 5), channels=3), np.repeat(GREY, 3, axis=2))
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    assert conform(red, size=(1, 1), channels=1).tolist() == [[[76]]]


def test_another_size_is_resized_smoothly() -> None:
    wide = np.full((10, 20, 3), 100, np.uint8)
    assert (conform(wide, size=(4, 6), channels=1) == 100).all()
    assert conform(wide, size=(4, 6), channels=3).shape == (4, 6, 3)
    stripes = np.tile(np.array([0, 255], np.uint8), 8)[None, :, None].repeat(4, axis=0)
    # every output pixel sees the same number of black and white ones, so aliasing would show as black or white
    assert abs(conform(stripes, size=(4, 4), channels=1)[:, 1:3].astype(int) - 128).max() <= 8


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_what_is_encoded_is_decoded_to_the_same_pixels(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(decode(encode_png(pixels), limit_pixels=LIMIT), pixels)
    assert encode_png(pixels) == encode_png(pixels)


def test_images_are_tiled_row_by_row_with_gaps_of_black() -> None:
    images = np.full((5, 3, 4, 1), 255, np.uint8) - np.arange(5, dtype=np.uint8)[:, None, None, None]
    grid = tile(images, gap=2)
    assert grid.shape == (2 * 5 + 2, 3 * 6 + 2, 1)
    np.testing.assert_array_equal(grid[2:5, 2:6], images[0])
    np.testing.assert_array_equal(grid[7:10, 8:12], images[4])
    assert grid[:2].max() == 0
    assert (grid > 0).sum() == 5 * 12


def test_one_image_is_no_grid_and_has_no_border() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    for columns in (None, 1, 5):
        np.testing.assert_array_equal(tile(image[None], columns=columns), image)


@pytest.mark.parametrize("shape", [(40, 80, 3), (80, 40, 3), (33, 47, 3)])
def test_the_middle_is_cut_out_where_a_shorter_side_is_named(shape: tuple[int, int, int]) -> None:
    image = np.zeros(shape, np.uint8)
    height, width = shape[:2]
    image[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = 255
    found = conform(image, size=(16, 16), channels=3, shorter=20)
    assert found.shape == (16, 16, 3)
    assert found[8, 8, 0] == 255
    # what is square stays square: as much light above the middle as beside it
    assert abs(int(found[:, :, 0].sum(axis=0).argmax()) - int(found[:, :, 0].sum(axis=1).argmax())) <= 1


def test_a_middle_that_is_larger_than_the_image_is_framed_in_black() -> None:
    found = conform(np.full((10, 10, 1), 200, np.uint8), size=(16, 16), channels=1, shorter=12)
    assert found.shape == (16, 16, 1)
    assert (found[2:14, 2:14] == 200).all()
    assert found.sum() == 12 * 12 * 200


def damaged_by_one_byte(data: bytes) -> Iterator[bytes]:
    """The file with each of its bytes behind the signature changed, one at a time."""
    for place in range(8, len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        yield bytes(changed)


@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_png_with_any_byte_changed_is_refused(pixels: NDArray[np.uint8]) -> None:
    for damaged in damaged_by_one_byte(saved(Image.fromarray(pixels.squeeze()), "PNG")):
        with pytest.raises(UnreadableImage):
            decode(damaged, limit_pixels=LIMIT)


def test_a_png_that_ends_at_any_place_before_its_end_is_refused() -> None:
    data = saved(Image.fromarray(COLOUR), "PNG")
    for length in range(8, len(data)):
        with pytest.raises(UnreadableImage):
            decode(data[:length], limit_pixels=LIMIT)


def grey_png(*chunks: bytes, before: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0)
    return png(header, before, chunk(b"IDAT", zlib.compress(b"\0\x0a\xc8")), *chunks)


def test_a_comment_that_speaks_of_pixels_hides_no_transparency() -> None:
    transparent = chunk(b"tRNS", struct.pack(">H", 200))
    data = grey_png(before=chunk(b"tEXt", b"Comment\0IDAT follows") + transparent)
    assert decode(data, limit_pixels=LIMIT)[0, :, 0].tolist() == [10, 0]


def test_an_orientation_behind_the_pixels_counts_also_of_plain_and_of_deep_images() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    late = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    found = read_picture(grey_png(late), limit_pixels=LIMIT)
    assert found.pixels[0, :, 0].tolist() == [200, 10]
    assert found.alterations == (TURNED,)
    deep = saved(Image.fromarray(DEEP), "PNG", exif=exif.tobytes())
    upright = np.rot90(decode(saved(Image.fromarray(DEEP), "PNG"), limit_pixels=LIMIT), 2)
    np.testing.assert_array_equal(decode(deep, limit_pixels=LIMIT), upright)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "PPM", "GIF", "TIFF"])
def test_bytes_behind_the_end_are_named(kind: str) -> None:
    data = saved(Image.fromarray(COLOUR), kind)
    said = read_picture(data, limit_pixels=LIMIT).alterations
    assert said == ((PALETTE,) if kind == "GIF" else ())
    found = read_picture(data + b"more", limit_pixels=LIMIT)
    assert found.alterations == (*said, REST)
    np.testing.assert_array_equal(found.pixels, decode(data, limit_pixels=LIMIT))


def test_further_frames_of_a_png_are_named() -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    found = read_picture(saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), limit_pixels=LIMIT)
    assert FRAMES in found.alterations
    np.testing.assert_array_equal(found.pixels, COLOUR)


SMOOTH = np.kron(DRAW.integers(0, 256, (9, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}, {"restart_marker_blocks": 4}],
)
@pytest.mark.parametrize("pixels", [SMOOTH, SMOOTH[..., 0]], ids=["colour", "grey"])
def test_a_jpeg_has_the_pixels_that_pillow_sees(pixels: NDArray[np.uint8], options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(pixels), "JPEG", **options)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode(data, limit_pixels=LIMIT).squeeze(), np.asarray(image))


@pytest.mark.parametrize("share", [0.3, 0.4, 0.9])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["no end", "an end marker"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_lost_its_data_is_refused(share: float, end: bytes, mode: str) -> None:
    data = saved(Image.fromarray(SMOOTH).convert(mode), "JPEG")
    with pytest.raises(UnreadableImage, match="is damaged"):
        decode(data[: int(share * len(data))] + end, limit_pixels=LIMIT)


def test_a_jpeg_that_says_it_is_larger_than_its_data_is_refused() -> None:
    data = bytearray(saved(Image.fromarray(SMOOTH), "JPEG"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 900, 900)
    with pytest.raises(UnreadableImage, match="premature end"):
        decode(bytes(data), limit_pixels=LIMIT)


def tiff(values: NDArray[Any], photometric: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", tiffinfo={262: photometric})
    return stream.getvalue()


def test_a_tiff_whose_white_is_zero_is_turned() -> None:
    black_is_zero, white_is_zero = (decode(tiff(DEEP, value), limit_pixels=LIMIT) for value in (1, 0))
    np.testing.assert_array_equal(white_is_zero, decode(tiff(65535 - DEEP, 1), limit_pixels=LIMIT))
    assert (white_is_zero != black_is_zero).any()


def test_whole_numbers_of_32_bits_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="what is white is not known"):
        decode(saved(Image.fromarray(DEEP.astype(np.int32) // 256), "TIFF"), limit_pixels=LIMIT)


def test_the_extremes_are_those_that_were_stored() -> None:
    shallow, deep = saved(Image.fromarray(COLOUR // 2), "PNG"), saved(Image.fromarray(DEEP // 16), "PNG")
    for data, values, white in ((shallow, COLOUR // 2, 255), (deep, DEEP // 16, 65535)):
        found = read_picture(data, limit_pixels=LIMIT)
        assert (found.lowest, found.highest, found.white) == (values.min(), values.max(), white)


def test_the_opacity_of_what_is_transparent_is_kept() -> None:
    image = Image.fromarray(COLOUR).convert("RGBA")
    image.putalpha(Image.fromarray(GREY[..., 0]))
    found = read_picture(saved(image, "PNG"), limit_pixels=LIMIT)
    assert found.opacity is not None
    np.testing.assert_array_equal(found.opacity, GREY[..., 0])
    assert found.alterations == (ALPHA,)


def test_a_png_of_endless_empty_chunks_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="more than 65,536 chunks"):
        decode(grey_png(before=chunk(b"teXt", b"") * (1 << 16)), limit_pixels=LIMIT)


@pytest.mark.parametrize(("side", "first"), [(8, 2), (9, 2), (10, 3), (11, 4), (12, 4)])
def test_of_an_odd_gap_the_crop_leaves_what_torchvision_leaves(side: int, first: int) -> None:
    # int(round(gap / 2)), half to even, for gaps of 4 to 8: the published nets were measured on those pixels
    tall = np.repeat(2 * np.arange(side, dtype=np.uint8), 4).reshape(side, 4, 1)
    for image, axis in ((tall, 0), (tall.swapaxes(0, 1), 1)):
        found = conform(np.ascontiguousarray(image), size=(4, 4), channels=1, shorter=4)
        assert found.shape == (4, 4, 1)
        assert np.take(found, 0, axis=1 - axis).ravel().tolist() == [2 * (first + place) for place in range(4)]


def test_of_an_odd_gap_a_frame_of_black_is_the_wider_one_below_and_to_the_right() -> None:
    found = conform(np.full((4, 4, 1), 9, np.uint8), size=(7, 9), channels=1, shorter=4)
    rows, columns = (np.nonzero(found[:, :, 0].any(axis=axis))[0].tolist() for axis in (1, 0))
    assert (rows, columns) == ([1, 2, 3, 4], [2, 3, 4, 5])


@pytest.mark.parametrize("kind", ["GIF", "PPM", "BMP", "TIFF"])
def test_a_limit_beyond_pillows_own_counts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # as if Pillow's were as small as these images
    data = saved(Image.fromarray(np.tile(GREY[:, :, 0], (2, 2))), kind)
    assert decode(data, limit_pixels=1000).shape[:2] == (12, 10)
    with pytest.raises(UnreadableImage, match="The image is 10×12; at most 119 pixels are decoded"):
        decode(data, limit_pixels=119)
