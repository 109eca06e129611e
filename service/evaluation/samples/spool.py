"""Samples on their way to the extractor: fitted, kept in a file, ordered by what they are, not where they lay."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples, UnreadableArchive
from service.evaluation.samples.album import Album, Images, Shape, shape_words
from service.evaluation.threads import Stop
from service.imaging import Filter, Picture, Pixels, conform
from service.store import ImageInput

ROWS_AT_ONCE = 1024
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ImageShape:
    """The pixels that an extractor takes: height and width, and channels; of None, what each image has itself."""

    size: tuple[int, int] | None
    channels: int | None
    shorter: int | None = None
    resampling: Filter = "bilinear"

    @classmethod
    def of(cls, spec: ImageInput) -> Self:
        """What an extractor's images are fitted into before it sees them."""
        if spec.resample == "as-sent":
            return cls(None, None)
        return cls(spec.size if spec.in_whole_pixels else None, spec.channels, spec.resize, spec.filter)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """An image of the wanted shape: its pixels there, the digest of those that it had, and what was done to it."""

    pixels: Pixels
    digest: bytes
    alterations: tuple[str, ...]


def fit(picture: Picture, shape: ImageShape) -> Fitted:
    """An image of any size and colour, brought to a shape."""
    pixels = picture.pixels
    alterations = list(picture.alterations)
    size, channels = shape.size or pixels.shape[:2], shape.channels or pixels.shape[2]
    if pixels.shape[:2] != size:
        alterations.append(f"were resized to {size[0]}×{size[1]}")
    if pixels.shape[2] != channels:
        alterations.append(f"were converted to {'grey' if channels == 1 else 'colour'}")
    fitted = conform(pixels, size=size, channels=channels, shorter=shape.shorter, resampling=shape.resampling)
    return Fitted(np.ascontiguousarray(fitted), digest(pixels), tuple(alterations))


@dataclass(frozen=True, slots=True, eq=False)
class Spooled:
    """What a spool took, in the order in which it came."""

    pixels: NDArray[np.uint8]
    """Those of all images, one after the other."""
    digests: bytes
    shapes: tuple[Shape, ...]
    alterations: Counter[str]


class ImageSpool:
    """Images on their way into a file of pixels, in hash order."""

    def __init__(self, working_dir: Path, shape: ImageShape) -> None:
        self._shape = shape
        self._arrived = working_dir / "arrived.pixels"
        self._ordered = working_dir / "ordered.pixels"
        self._file = self._arrived.open("wb")
        self._alterations: Counter[str] = Counter()
        self._shapes: list[Shape] = []
        self._known_shapes: dict[Shape, Shape] = {}
        self.digests = Digests()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, image: Fitted) -> None:
        """Take one image."""
        self.digests.add(image.digest)
        self._alterations.update(image.alterations)
        shape = image.pixels.shape
        self._shapes.append(self._known_shapes.setdefault(shape, shape))  # one object a shape, however many images
        self._file.write(image.pixels.data)

    def content(self) -> Spooled:
        """All that was taken so far, for another spool."""
        self._file.flush()
        pixels = np.memmap(self._arrived, np.uint8, mode="r") if self._shapes else np.zeros(0, np.uint8)
        return Spooled(pixels, self.digests.joined, tuple(self._shapes), Counter(self._alterations))

    def extend(self, content: Spooled) -> None:
        """Take all that another spool took, in its order."""
        self._file.write(content.pixels.data)
        self.digests.add(content.digests)
        self._alterations.update(content.alterations)
        self._shapes += [self._known_shapes.setdefault(shape, shape) for shape in content.shapes]

    def finish(self, stop: Stop) -> Images:
        """All images, ordered; none is taken after them.

        Raises UnreadableArchive where there are none, InvalidSamples where they differ in size and may not.
        """
        if not len(self.digests):
            raise UnreadableArchive("The file holds no image.")
        images = self.images(stop)
        self._file.close()
        if not isinstance(images, Album):
            self._arrived.unlink()
        return images

    def images(self, stop: Stop) -> Images:
        """The images so far, of which there has to be one, ordered. They are good until this is asked again.

        Raises InvalidSamples where they differ in size and may not.
        """
        self._file.flush()
        if len(self._known_shapes) > 1:
            if self._shape.channels is None:
                raise InvalidSamples(f"Images of one size are compared; these are {shape_words(self._shapes)}.")
            return Album(self._arrived, self._shapes, self.digests.order())
        arrived = np.memmap(self._arrived, np.uint8, mode="r", shape=(len(self.digests), *self._shapes[0]))
        return ordered_copy(arrived, self.digests.order(), self._ordered, stop)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done to the images so that they fit."""
        count = len(self.digests)
        done = (f"{number:,} of {count:,} images {words}." for words, number in sorted(self._alterations.items()))
        return (*done, *self.digests.warnings)


class Digests:
    """The digests of samples, 16 bytes each, in the order in which they came."""

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._joined = bytearray(b"".join(digests))

    def __len__(self) -> int:
        return len(self._joined) // DIGEST_BYTES

    def add(self, found: bytes) -> None:
        """Take one more, or several that are joined."""
        self._joined += found

    @property
    def joined(self) -> bytes:
        """All of them, one after the other."""
        return bytes(self._joined)

    def order(self) -> NDArray[np.intp]:
        """The permutation that sorts the samples by their digests."""
        high, low = np.frombuffer(bytes(self._joined), ">u8").reshape(-1, 2).T
        return np.lexsort((low, high))

    def content_sha256(self, kind: str) -> str:
        """The sha256 of a set: the same whatever the order, the packing and the names of its files."""
        rows = np.frombuffer(bytes(self._joined), np.uint8).reshape(-1, DIGEST_BYTES)
        return sha256(kind.encode() + rows[self.order()].tobytes()).hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where samples are exact copies of others."""
        rows = np.frombuffer(bytes(self._joined), np.uint8).reshape(-1, DIGEST_BYTES)[self.order()]
        copies = int((rows[1:] == rows[:-1]).all(axis=1).sum())
        return (f"{copies:,} of {len(rows):,} samples are exact copies of others.",) if copies else ()


def digest(row: NDArray[Any]) -> bytes:
    """16 bytes that stand for one sample's values and shape."""
    return blake2b(row.tobytes(), digest_size=DIGEST_BYTES, person=repr(row.shape).encode()[:16]).digest()


def ordered_copy(rows: NDArray[Any], order: NDArray[np.intp], target: Path, stop: Stop) -> NDArray[Any]:
    """`rows[order]` as a read-only map of the file `target`, copied in blocks."""
    copy = np.memmap(target, rows.dtype, mode="w+", shape=rows.shape)
    for start in range(0, len(order), ROWS_AT_ONCE):
        stop.check()
        part = order[start : start + ROWS_AT_ONCE]
        copy[start : start + len(part)] = rows[part]
    copy.flush()
    return np.memmap(target, rows.dtype, mode="r", shape=rows.shape)
