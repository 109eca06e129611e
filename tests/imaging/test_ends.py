"""Bytes behind an image are found in every format, and none where there are none."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.errors import UnreadableImage
from service.imaging import jpeg
from service.imaging.ends import bytes_behind_pixels, rest_bytes
from service.imaging.reading import REST, read_picture

LIMIT = 1 << 20
DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (13, 9), dtype=np.uint8)
COLOUR = DRAW.integers(0, 256, (13, 9, 3), dtype=np.uint8)
FRAMES = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def big_tiff(*, more: bytes = b"") -> bytes:
    """One grey pixel in a BigTIFF, as no writer here makes it."""
    tags = [(256, 4, 1), (257, 4, 1), (258, 3, 8), (262, 3, 1), (273, 16, 16), (278, 4, 1), (279, 16, 1)]
    entries = b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in tags)
    pixel = b"\xc8".ljust(8, b"\0")
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 24) + pixel + struct.pack("<Q", len(tags)) + entries + bytes(8) + more


FILES = {
    "GIF of one frame": saved(Image.fromarray(GREY), "GIF"),
    "GIF of several frames and a comment": saved(
        FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:], comment=b"; ," * 200
    ),
    "TIFF": saved(Image.fromarray(COLOUR), "TIFF"),
    "TIFF of several frames": saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
    "compressed TIFF": saved(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"),
    "TIFF of a camera": saved(
        Image.fromarray(COLOUR), "TIFF", exif=b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0"
    ),
    "BigTIFF": big_tiff(),
    "WebP": saved(Image.fromarray(COLOUR), "WEBP"),
    "BMP": saved(Image.fromarray(COLOUR), "BMP"),
    "BMP of one bit": saved(Image.fromarray(GREY > 99), "BMP"),
    "PPM": saved(Image.fromarray(COLOUR), "PPM"),
    "PGM of 16 bits": saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PPM"),
    "PBM": saved(Image.fromarray(GREY > 99), "PPM"),
    "PGM to 9": b"P5 2 2 9\n\0\3\6\x09",
    "PGM to 999": b"P5 2 1 999\n\0\3\1\6",
    "plain PBM": b"P1 # one\n3 2\n1 0 1\n010 # two\n",
    "plain PGM": b"P2\n2 2\n255\n0 1 # 2\n\n2 33\n",
    "plain PPM": b"P3 1 1 255 7 8 9",
}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_has_nothing_behind_it_and_a_longer_one_says_so(name: str) -> None:
    data = FILES[name]
    whole = read_picture(data, limit_pixels=LIMIT)
    assert REST not in whole.alterations
    longer = read_picture(data + b"\n1 0 1 0 1", limit_pixels=LIMIT)
    assert longer.alterations == (*whole.alterations, REST)
    np.testing.assert_array_equal(longer.pixels, whole.pixels)


def end_of_jpeg(data: bytes) -> int:
    """Where a JPEG ends, a byte after the other; its whole length where it does not."""
    at = 2
    while at < len(data) - 1:
        marker = data[at + 1]
        if data[at] != 0xFF or marker in {0x00, 0xFF, *range(0xD0, 0xD8)}:
            at += 1
            continue
        at += 2
        if marker == 0xD9:
            return at
        at += 0 if marker in (0x01, 0xD8) else int.from_bytes(data[at : at + 2], "big")
    return len(data)


@given(st.lists(st.sampled_from([0xFF, 0x00, 0x01, 0x02, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA]), max_size=60).map(bytes))
def test_a_jpeg_ends_where_its_markers_say(rest: bytes) -> None:
    for data in (jpeg.START + rest, jpeg.START + rest + jpeg.END):
        assert jpeg.rest_bytes(data) == len(data) - end_of_jpeg(data)


@pytest.mark.parametrize("place", [*range(1, 4), *range((1 << 16) - 4, (1 << 16) + 4), (1 << 17) - 1, 1 << 17])
@pytest.mark.parametrize("behind", [b"", b"\0", b"\0\0"])
def test_an_end_before_the_last_is_found_wherever_it_stands(place: int, behind: bytes) -> None:
    scan = b"\xff\xda\x00\x02"
    data = jpeg.START[:2] + scan + b"\0" * place + jpeg.END + behind + jpeg.END
    assert jpeg.rest_bytes(data) == len(behind) + len(jpeg.END)
    assert jpeg.rest_bytes(data[: -len(jpeg.END) - len(behind)]) == 0


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\x00", b"\xff\xd0"], ids=["filling", "stuffed bytes", "restarts"])
def test_a_jpeg_that_is_all_filling_is_looked_through_once(filling: bytes) -> None:
    data = jpeg.START + filling * (1 << 21)
    assert jpeg.rest_bytes(data) == 0
    assert jpeg.rest_bytes(data + b"\x01\xff\xd9more") == 4
    with pytest.raises(UnreadableImage):
        read_picture(data, limit_pixels=LIMIT)


@pytest.mark.parametrize("name", [name for name in FILES if "TIFF" in name or "GIF" in name])
def test_of_two_images_in_one_file_the_second_is_behind_the_first(name: str) -> None:
    data = FILES[name]
    assert rest_bytes(data) == 0
    assert rest_bytes(data + data) >= len(data)


def test_a_bitmap_that_counts_its_rest_as_its_own_is_measured_by_its_pixels() -> None:
    data = bytearray(FILES["BMP"] + b"more")
    data[2:6] = len(data).to_bytes(4, "little")
    assert rest_bytes(bytes(data)) == 0
    assert REST in read_picture(bytes(data), limit_pixels=LIMIT).alterations


def test_a_bitmap_that_does_not_say_how_long_it_is_is_measured_by_its_pixels() -> None:
    data = bytearray(FILES["BMP"])
    data[2:6] = bytes(4)
    assert REST not in read_picture(bytes(data), limit_pixels=LIMIT).alterations


@pytest.mark.parametrize("start", [b"GIF89a", b"II*\0", b"MM\0+", b"RIFF\xff\xff\xff\xffWEBP", b"BM", b"P3 1 1 255 "])
@given(rest=st.binary(max_size=200))
def test_whatever_stands_there_is_read_to_some_end(start: bytes, rest: bytes) -> None:
    try:
        assert 0 <= rest_bytes(start + rest) <= len(start + rest)
    except UnreadableImage:
        assert start.startswith((b"GIF", b"II", b"MM")), "the end of others is not looked for"


@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_a_damaged_tiff_is_read_to_some_end(changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILES["TIFF of several frames"])
    for place, value in changes:
        data[4 + place % (len(data) - 4)] = value
    assert 0 <= rest_bytes(bytes(data)) <= len(data)


def test_a_directory_that_is_its_own_successor_is_looked_at_once() -> None:
    data = bytearray(FILES["TIFF"])
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    data[at + 2 + 12 * count :][:4] = data[4:8]
    data[at + 2 + 12 * count : at + 6 + 12 * count] = at.to_bytes(4, "little")
    assert rest_bytes(bytes(data)) == 0


@pytest.mark.parametrize("shared", ["strips", "entries"])
def test_a_tiff_whose_parts_lie_upon_each_other_is_refused(shared: str) -> None:
    if shared == "strips":
        table = struct.pack("<I", 8) * 500
        at = 8 + len(table)
        entries = b"".join(struct.pack("<HHII", tag, 4, 500, 8) for tag in (273, 279))
        parts = (struct.pack("<H", 2) + entries + struct.pack("<I", at + 30 * (place + 1)) for place in range(9))
        data = b"II*\0" + struct.pack("<I", at) + table + b"".join(parts) + bytes(6)
    else:  # directories of 256 entries, each of which begins inside the one before it
        places = struct.pack("<500I", *range(2032, 3032, 2))
        first = struct.pack("<HHHIII", 1, 330, 4, 500, 32, 0)
        data = (b"II*\0" + struct.pack("<I", 8) + first).ljust(32, b"\0") + places + b"\0\1" * 500 + bytes(4000)
    with pytest.raises(UnreadableImage, match="lie upon each other"):
        rest_bytes(data)


def test_what_is_compressed_has_no_end_by_its_pixels() -> None:
    with Image.open(io.BytesIO(FILES["WebP"])) as image:
        assert bytes_behind_pixels(image, FILES["WebP"]) == 0


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("plain")])
def test_a_file_that_is_cut_short_anywhere_is_refused_unless_its_pixels_are_whole(name: str) -> None:
    data, refused = FILES[name], 0
    pixels = read_picture(data, limit_pixels=LIMIT).pixels
    for length in range(4, len(data)):
        try:
            np.testing.assert_array_equal(read_picture(data[:length], limit_pixels=LIMIT).pixels, pixels)
        except UnreadableImage:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    ("segments", "found"),
    [
        (b"\xff\xe1\x00\x04ab\xff\xdb\x00\x02", True),
        (b"\xff\xe1\x00\x04\xff\xda", True),  # what lies within a segment begins no scan
        (b"\xff\xe1\x00\x04ab\x00", False),
        (b"\xff\xff\xe1\x00\x04ab", False),
        (b"\xff\xfe\x00\x02" * jpeg.MOST_SEGMENTS, False),
        (b"", True),
    ],
)
def test_the_head_of_a_jpeg_is_what_stands_before_its_pixels_and_all_where_that_is_unusual(
    segments: bytes,
    found: bool,  # noqa: FBT001
) -> None:
    before = jpeg.START[:2] + segments
    data = before + b"\xff\xda\x00\x08pixels Exif\x00\x00"
    assert jpeg.head_of(data) == (before if found else data)
    assert jpeg.head_of(data[: len(before)]) == data[: len(before)]
