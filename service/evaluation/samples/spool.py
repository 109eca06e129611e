"""Samples on their way to the extractor: fitted, kept in a file, ordered by what they are, not where they lay."""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.evaluation.samples.album import Album, Images, Shape, shape_words
from service.evaluation.samples.digests import Digested, Digests, RowNumbers, digest
from service.evaluation.threads import Stop
from service.imaging import Filter, Picture, Pixels, conform
from service.store import ImageInput

ROWS_AT_ONCE = 1024
BUFFER_BYTES = 1 << 20
"""Gathered before they are written: small images would be a call of the system every few."""
NARROW = 0.25
"""A set that uses less of the range than this is told so."""


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
    digests: Digested
    shapes: tuple[Shape, ...]
    of_shape: "array[int]"
    """Which of these each image has."""
    names: list[str]
    """Empty, or one of each image."""
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
        self._shapes: dict[Shape, int] = {}
        self._of_shape = array("I")
        self._names: list[str] = []
        self._stored_shapes: Counter[Shape] = Counter()
        self._extremes: dict[int, tuple[int, int]] = {}
        self.digests = Digests(working_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.digests.close()

    def add(self, image: Fitted) -> None:
        """Take one image."""
        if image.name or self._names:
            self._name([image.name])
        self.digests.add(image.digest)
        self._alterations.update(image.alterations)
        self._stored_shapes[image.shape] += 1
        low, high, white = image.extremes
        self._widen(white, low, high)
        self._of_shape.append(self._shapes.setdefault(image.pixels.shape, len(self._shapes)))
        self._file.write(image.pixels.data)

    def content(self) -> Spooled:
        """All that was taken so far, for another spool; the pixels are mapped from the file."""
        self._file.flush()
        return Spooled(
            np.memmap(self._arrived, np.uint8, mode="r") if self._shapes else np.zeros(0, np.uint8),
            self.digests.as_came(),
            tuple(self._shapes),
            self._of_shape[:],
            list(self._names),
            Counter(self._stored_shapes),
            Counter(self._alterations),
            dict(self._extremes),
        )

    def extend(self, content: Spooled) -> None:
        """Take all that another spool took, in its order."""
        self._file.write(content.pixels.data)
        if content.names or self._names:
            self._name(content.names or [""] * len(content.digests))
        self.digests.add(content.digests.data)
        here = [self._shapes.setdefault(shape, len(self._shapes)) for shape in content.shapes]
        self._of_shape.extend(here[shape] for shape in content.of_shape)
        self._stored_shapes.update(content.stored_shapes)
        self._alterations.update(content.alterations)
        for white, (lowest, highest) in content.extremes.items():
            self._widen(white, lowest, highest)

    def _name(self, names: list[str]) -> None:
        """Note the names of the images that come next; those of arrays, of which there may be millions, have none."""
        self._names += [""] * (len(self.digests) - len(self._names)) + names

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
        shapes = tuple(self._shapes)
        if len(shapes) > 1:
            if self._shape.channels is None:
                found = shape_words(Counter(shapes[place] for place in self._of_shape))
                raise InvalidSamples(f"Images of one size are compared; these are {found}.")
            return Album(self._arrived, shapes, self._of_shape[:], self.digests.order())
        arrived = np.memmap(self._arrived, np.uint8, mode="r", shape=(len(self.digests), *shapes[0]))
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

    def as_sent(self) -> RowNumbers:
        """The rows of the ordered set by the names of their files; as they arrived where they have none."""
        ranks = self.digests.ranks()
        if not any(self._names):
            return ranks
        return ranks[sorted(range(len(ranks)), key=self._names.__getitem__)]


def ordered_copy(rows: NDArray[Any], order: RowNumbers, target: Path, stop: Stop) -> NDArray[Any]:
    """`rows[order]` as a read-only map of the file `target`, copied in blocks."""
    copy = np.memmap(target, rows.dtype, mode="w+", shape=rows.shape)
    for start in range(0, len(order), ROWS_AT_ONCE):
        stop.check()
        part = order[start : start + ROWS_AT_ONCE]
        copy[start : start + len(part)] = rows[part]
    copy.flush()
    return np.memmap(target, rows.dtype, mode="r", shape=rows.shape)
