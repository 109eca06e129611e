"""What has to hold of each reader for any bytes at all: one function a kind, which fails where it does not hold.

Every reader answers or raises the error that it promises; whatever it answers lies within its limits, and is what a
second library reads in the same bytes where that reads them, too.
"""

import asyncio
import io
import json
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from doubles import split
from numpy.typing import NDArray
from PIL import Image

from service.api.bodies import Part, Sink, boundary_of, read_form
from service.errors import InvalidRequest, InvalidSamples, ServiceError, UnreadableArchive, UnreadableImage
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.limits import Limits
from service.evaluation.samples.spool import ImageShape
from service.imaging import claimed_pixels, read_picture
from service.operations.documents import read_document
from service.runtime.frames import Frame, FrameReader, encode, encode_bundle
from service.store import ImageInput
from service.tasks.classify import read_image

MOST_PIXELS = 1 << 16
UNPACKED_BYTES = 1 << 20
LIMITS = Limits(unpacked_bytes=UNPACKED_BYTES, image_pixels=MOST_PIXELS, entries=50, entry_bytes=1 << 18)
SHAPE = ImageShape((4, 4), 1)
WRITTEN_BYTES = 3 * UNPACKED_BYTES
"""Unpacked, as arrays and as fitted images, an upload lies in its folder three times at most."""
DRAWN = ImageInput(size=(28, 28), channels=1, mean=(0.0,), std=(1.0,), ink="light", frame="centred")
"""Looked at for its ink, too."""
EXACT = ("PNG", "JPEG")
"""Formats of which a second reader finds the same pixels to the last bit."""


def image(data: bytes) -> None:
    """Pixels within the limit, the same that Pillow finds; or UnreadableImage."""
    claimed_pixels(data)
    try:
        picture = read_picture(data, limit_pixels=MOST_PIXELS)
    except UnreadableImage as error:
        error.detail.encode()
        with suppress(UnreadableImage):
            read_image(data, DRAWN, limit_pixels=MOST_PIXELS)
        return
    height, width, channels = picture.pixels.shape
    assert picture.pixels.dtype == np.uint8
    assert 0 < height * width <= MOST_PIXELS
    assert channels in (1, 3)
    assert 0 <= picture.lowest <= picture.highest <= picture.white
    if not picture.alterations and (other := pillows(data)) is not None:
        assert np.array_equal(picture.pixels, other)
    assert read_image(data, DRAWN, limit_pixels=MOST_PIXELS).pixels.shape == (1, 28, 28, 1)


def pillows(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels (H, W, C) that Pillow finds in a PNG or a JPEG of 8 bits; None where it finds none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=EXACT) as opened:
                pixels = np.asarray(opened)
                plain = opened.mode in ("L", "RGB")
        except Exception:  # noqa: BLE001 - whatever it raises, it has read nothing
            return None
    return pixels.reshape(*pixels.shape[:2], -1) if plain else None


def upload(data: bytes) -> None:
    """Samples whose every array lies within the limits, as numpy finds them in an npy; or an error that says why."""
    with tempfile.TemporaryDirectory() as folder:
        path, working_dir = Path(folder, "upload"), Path(folder, "work")
        path.write_bytes(data)
        working_dir.mkdir()
        try:
            samples = open_samples(path, working_dir=working_dir, shape=SHAPE, limits=LIMITS)
        except (UnreadableArchive, InvalidSamples) as error:
            error.detail.encode()
            return
        finally:
            assert sum(file.stat().st_size for file in working_dir.rglob("*")) <= WRITTEN_BYTES
        assert samples.count is None or samples.count > 0
        if samples.images is not None:
            assert len(samples.images) == samples.count
            assert all(samples.images[row].dtype == np.uint8 for row in range(len(samples.images)))
        if data.startswith(b"\x93NUMPY"):
            assert len(np.load(io.BytesIO(data), allow_pickle=False)) == samples.count


class Kept:
    """The bytes of a part."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.data = b""
        self.closed = 0

    def write(self, data: bytes, /) -> None:
        """Keep them."""
        self.data += data

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def form(data: bytes) -> None:
    """A Content-Type on a first line and the form behind it: its parts, however it is cut; or an error."""
    kind, _, body = data.partition(b"\n")
    try:
        boundary = boundary_of(kind)
    except ServiceError as error:
        error.detail.encode()
        return
    whole, pieces = (_parts(body, boundary, sizes) for sizes in ([len(body) or 1], [1, 7, 3]))
    assert whole == pieces


def _parts(body: bytes, boundary: bytes, sizes: list[int]) -> list[tuple[Part, bytes]] | None:
    kept: list[Kept] = []

    def open_part(part: Part) -> Sink:
        kept.append(Kept(part))
        return kept[-1]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in split([body], sizes):
            yield piece

    try:
        asyncio.run(read_form(pieces(), boundary, open_part))
    except InvalidRequest as error:
        error.detail.encode()
        return None
    finally:
        assert all(part.closed == 1 for part in kept)
    assert sum(len(part.data) for part in kept) <= len(body)
    return [(part.part, part.data) for part in kept]


def document(data: bytes) -> None:
    """What Python's own reader finds in it, with arrays for lists; or an error."""
    try:
        found = read_document(data)
    except InvalidRequest as error:
        error.detail.encode()
        return
    assert _is_same(found, json.loads(data, parse_int=_whole))


def _whole(digits: str) -> int | float:
    """A number beyond 64 bits is read as a real one."""
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


def _is_same(found: Any, other: Any) -> bool:
    if isinstance(found, np.ndarray):
        expected = np.array(other, np.float64)
        return bool(np.array_equal(found, expected, equal_nan=True))
    if isinstance(found, dict):
        return found.keys() == other.keys() and all(_is_same(value, other[name]) for name, value in found.items())
    if isinstance(found, list):
        return len(found) == len(other) and all(map(_is_same, found, other))
    return type(found) is type(other) and bool(found == other)


def stream(data: bytes) -> None:
    """Messages that can be written again, however the stream is cut; or ValueError."""
    whole, pieces = (_frames(data, sizes) for sizes in ([len(data) or 1], [1, 5, 2]))
    assert whole == pieces


def _frames(data: bytes, sizes: list[int]) -> list[bytes]:
    reader, found = FrameReader(), []
    try:
        for piece in split([data], sizes):
            for frame in reader.feed(piece):
                items = [array for item in frame.items for array in item.arrays]
                assert sum(array.nbytes for array in (*frame.arrays, *items)) <= len(data)
                found.append(_again(frame))
    except ValueError as error:
        found.append(str(error).encode())
    return found


def _again(frame: Frame) -> bytes:
    if frame.items:
        return encode_bundle(frame.kind, frame.items)
    return encode(frame.kind, frame.id, dict(frame.meta), frame.arrays)


KINDS: dict[str, Callable[[bytes], None]] = {
    "document": document,
    "form": form,
    "image": image,
    "stream": stream,
    "upload": upload,
}
"""Each with a folder of its name in the corpus."""
