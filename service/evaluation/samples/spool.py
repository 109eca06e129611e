"""Samples on their way to the extractor: fitted, kept in a file, ordered by what they are, not where they lay."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.evaluation.samples.album import Album, Images, Shape, shape_words
from service.evaluation.threads import Stop
from service.imaging import Filter, Picture, Pixels, conform
from service.store import ImageInput

ROWS_AT_ONCE = 1024
BUFFER_BYTES = 1 << 20
"""Gathered before they are written: small images would be a call of the system every few."""
NARROW = 0.25
"""A set that uses less of the range than this is told so."""
DIGEST_BYTES = LONGEST_PERSON_BYTES = 16


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
    """An image of the wanted shape: its pixels there, the digest of those that it had, and what was done to it.

    extremes: the smallest and the largest number that were stored, and the one that stands for white
    """

    pixels: Pixels
    digest: bytes
    alterations: tuple[str, ...]
    extremes: tuple[int, int, int]
    shape: Shape
    name: str = ""


def fit(picture: Picture, shape: ImageShape, name: str = "") -> Fitted:
    """An image of any size and colour, brought to a shape; the name is that of its file."""
    pixels = picture.pixels
    alterations = list(picture.alterations)
    size, channels = shape.size or pixels.shape[:2], shape.channels or pixels.shape[2]
    if pixels.shape[:2] != size:
        alterations.append(f"were resized to {size[0]}×{size[1]}")
    if pixels.shape[2] != channels:
        alterations.append(f"were converted to {'grey' if channels == 1 else 'colour'}")
    fitted = conform(pixels, size=size, channels=channels, shorter=shape.shorter, resampling=shape.resampling)
    extremes = picture.lowest, picture.highest, picture.white
    return Fitted(np.ascontiguousarray(fitted), digest(pixels), tuple(alterations), extremes, pixels.shape, name)


@dataclass(frozen=True, slots=True, eq=False)
class Spooled:
    """What a spool took, in the order in which it came, and what it noted of it."""

    pixels: NDArray[np.uint8]
    """Those of all images, one after the other."""
    digests: bytes
    shapes: list[Shape]
    names: list[str]
    stored_shapes: Counter[Shape]
    alterations: Counter[str]
    extremes: dict[int, tuple[int, int]]


class ImageSpool:
    """Images on their way into a file of pixels, in hash order."""

    def __init__(self, working_dir: Path, shape: ImageShape) -> None:
        self._shape = shape
        self._arrived = working_dir / "arrived.pixels"
        self._ordered = working_dir / "ordered.pixels"
        self._file = self._arrived.open("wb", buffering=BUFFER_BYTES)
        self._alterations: Counter[str] = Counter()
        self._shapes: list[Shape] = []
        self._known_shapes: dict[Shape, Shape] = {}
        self._names: list[str] = []
        self._stored_shapes: Counter[Shape] = Counter()
        self._extremes: dict[int, tuple[int, int]] = {}
        self.digests = Digests()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, image: Fitted) -> None:
        """Take one image."""
        self.digests.add(image.digest)
        self._alterations.update(image.alterations)
        self._names.append(image.name)
        self._stored_shapes[image.shape] += 1
        low, high, white = image.extremes
        self._widen(white, low, high)
        shape = image.pixels.shape
        self._shapes.append(self._known_shapes.setdefault(shape, shape))  # one object a shape, however many images
        self._file.write(image.pixels.data)

    def content(self) -> Spooled:
        """All that was taken so far, for another spool; the pixels are mapped from the file."""
        self._file.flush()
        return Spooled(
            np.memmap(self._arrived, np.uint8, mode="r") if self._shapes else np.zeros(0, np.uint8),
            self.digests.joined,
            list(self._shapes),
            list(self._names),
            Counter(self._stored_shapes),
            Counter(self._alterations),
            dict(self._extremes),
        )

    def extend(self, content: Spooled) -> None:
        """Take all that another spool took, in its order."""
        self._file.write(content.pixels.data)
        self.digests.add(content.digests)
        self._shapes += [self._known_shapes.setdefault(shape, shape) for shape in content.shapes]
        self._names += content.names
        self._stored_shapes.update(content.stored_shapes)
        self._alterations.update(content.alterations)
        for white, (lowest, highest) in content.extremes.items():
            self._widen(white, lowest, highest)

    def _widen(self, white: int, low: int, high: int) -> None:
        lowest, highest = self._extremes.get(white, (low, high))
        self._extremes[white] = min(low, lowest), max(high, highest)

    def finish(self, stop: Stop) -> Images:
        """All images, ordered; none is taken after them.

        Raises InvalidSamples where they differ in size and may not.
        """
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
                found = shape_words(Counter(self._shapes))
                raise InvalidSamples(f"Images of one size are compared; these are {found}.")
            return Album(self._arrived, self._shapes, self.digests.order())
        arrived = np.memmap(self._arrived, np.uint8, mode="r", shape=(len(self.digests), *self._shapes[0]))
        return ordered_copy(arrived, self.digests.order(), self._ordered, stop)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done to the images so that they fit."""
        count = len(self.digests)
        done = (f"{number:,} of {count:,} images {words}." for words, number in sorted(self._alterations.items()))
        return (*done, *self._narrow(), *self.digests.warnings)

    def _narrow(self) -> Iterator[str]:
        """A sentence where all images together use little of their range: masks of 0 and 1, 12 bits in 16."""
        for white, (lowest, highest) in self._extremes.items():
            if highest - lowest < NARROW * white:
                yield (
                    f"The smallest value of all images is {lowest:,} and the largest {highest:,}, where white is"
                    f" {white:,}. They are taken as they are; if white was to be another value, scale them."
                )

    @property
    def shape_words(self) -> str:
        """What the images were before they were fitted, for people."""
        return shape_words(self._stored_shapes)

    def as_sent(self) -> NDArray[np.intp]:
        """The rows of the ordered set by the names of their files; as they arrived where they have none."""
        rank = np.empty(len(self._names), np.intp)
        rank[self.digests.order()] = np.arange(len(rank))
        if not any(self._names):
            return rank
        by_name = sorted(range(len(rank)), key=self._names.__getitem__)
        return rank[by_name]


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
        high, low = np.frombuffer(self._joined, ">u8").reshape(-1, 2).T
        return np.lexsort((low, high))

    def ordered(self) -> NDArray[np.uint8]:
        """All of them (n, 16), sorted."""
        return np.frombuffer(self._joined, np.uint8).reshape(-1, DIGEST_BYTES)[self.order()]

    def content_sha256(self, kind: str) -> str:
        """The sha256 of a set of this kind: the same whatever the order, the packing and the names of its files."""
        found = sha256(kind.encode())
        found.update(self.ordered().data)
        return found.hexdigest()

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where samples are exact copies of others."""
        rows = self.ordered()
        copies = int((rows[1:] == rows[:-1]).all(axis=1).sum())
        return (f"{copies:,} of {len(rows):,} samples are exact copies of others.",) if copies else ()


def digest(row: NDArray[Any]) -> bytes:
    """16 bytes that stand for one sample's values and shape."""
    shape = repr(row.shape).encode()
    if len(shape) > LONGEST_PERSON_BYTES:
        shape = blake2b(shape, digest_size=LONGEST_PERSON_BYTES).digest()
    return blake2b(row.tobytes(), digest_size=DIGEST_BYTES, person=shape).digest()


def ordered_copy(rows: NDArray[Any], order: NDArray[np.intp], target: Path, stop: Stop) -> NDArray[Any]:
    """`rows[order]` as a read-only map of the file `target`, copied in blocks."""
    copy = np.memmap(target, rows.dtype, mode="w+", shape=rows.shape)
    for start in range(0, len(order), ROWS_AT_ONCE):
        stop.check()
        part = order[start : start + ROWS_AT_ONCE]
        copy[start : start + len(part)] = rows[part]
    copy.flush()
    return np.memmap(target, rows.dtype, mode="r", shape=rows.shape)
