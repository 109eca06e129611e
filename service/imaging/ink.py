"""A drawn character brought to the form in which a net knows it: light ink on black, centred by its mass.

MNIST's own recipe (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998, section III-A; yann.lecun.com/exdb/mnist): the
ink's box is scaled to 20×20 with its proportions kept, and its centre of mass put into the middle of 28×28. Here the
ink is found first, on paper of any colour, lit unevenly, or transparent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.imaging.pixels import Pixels
from service.imaging.reading import Picture

Grey = NDArray[np.float64]

BOX = 20 / 28
"""Share of the side that the ink's box takes."""
NEARLY = 1
"""Pixels by which a box may be shorter than that and still be one that was scaled so."""
OFF_CENTRE = 1.0
"""Pixels between the middle and the centre of mass of an image that was centred; over all of MNIST it is less."""
FAINTEST = 24
"""Levels of 255 by which ink differs from its paper at least: what differs less is no ink."""
NOISE = 0.15
"""Share of the strongest ink below which there is paper."""
EVEN = 0.5
"""Levels by which even paper differs from its shade in the mean: on such the faintest ink is ink."""
SOLID = 0.35
"""Share above which a pixel counts for the box: a shadow or a JPEG's ripples are less."""
STRONGEST = 99.0
"""Percentile of the ink that becomes white."""
RIM = 0.04
"""Share of the side that counts as the border, where the paper is seen; at least one pixel."""
REACH = 384
"""Pixels of the longer side up to which every pixel is looked at."""
MARGIN = 0.3
"""Paper that is kept around the ink of a larger picture, in shares of the ink's longer side."""
FEW = 3
"""Pictures up to which each is sooner looked at by itself."""
FITS = 3
"""How often the paper is fitted to what is not ink."""

INVERTED = "was dark on light and was inverted"
PAPER = "was transparent and was laid over {} paper"
UNEVEN = "lay on paper of another shade, which was taken off"
CENTRED = "was cropped to its ink, scaled and centred by its mass"


class Step(NamedTuple):
    """Something that was done to an image, in words, and how it looked then: (H, W) or (H, W, C) of 0 to `white`."""

    words: str
    look: NDArray[Any]
    white: float = 255.0


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pixels (H, W, 1) in the net's form, and what was done for that."""

    pixels: Pixels
    steps: tuple[Step, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, in words."""
        return tuple(step.words for step in self.steps)


def as_light_ink(picture: Picture, side: int) -> Drawn | None:
    """A picture of one character as light ink on black, `side` pixels square, centred as MNIST's are.

    None for one that has this form already, which nothing is done to, and for one in which no ink is found.
    """
    return None if in_form([picture], side)[0] else redrawn(picture, side)


def redrawn(picture: Picture, side: int) -> Drawn | None:
    """The same for a picture that has not this form."""
    grey, laid = _on_paper(_within_reach(picture))
    residual = grey - _paper(grey)
    if np.abs(residual).max() < FAINTEST:
        return None
    light = _mass(residual) >= _mass(-residual)
    ink = np.maximum(residual if light else -residual, 0.0)
    strongest = float(np.percentile(ink[ink > NOISE * ink.max()], STRONGEST))
    ink = np.clip(ink / strongest, 0.0, 1.0)
    still = np.abs(residual[np.abs(residual) < FAINTEST])
    if not len(still) or still.mean() > EVEN:
        ink[ink < NOISE] = 0.0
    steps = [Step(words, grey) for words in laid]
    if not light:
        steps.append(Step(INVERTED, ink, 1.0))
    placed, moved = _placed(ink, side)
    if moved:
        steps.append(Step(CENTRED, placed))
    if not steps:
        steps.append(Step(UNEVEN, placed))
    return Drawn(placed, tuple(steps))


def _within_reach(picture: Picture) -> Picture:
    """A picture too large to look at each of its pixels: cropped to its ink and some paper, then reduced if it must be.

    Cropped first, so that a small character in a large frame keeps its pixels.
    """
    longest = max(picture.pixels.shape[:2])
    if longest <= REACH:
        return picture
    factor = -(-longest // REACH)
    coarse = _reduced(picture, factor)
    grey, _ = _on_paper(coarse)
    residual = np.abs(grey - _paper(grey))
    on = residual > max(FAINTEST / 2, SOLID * residual.max())
    if not on.any():
        return coarse
    top, bottom, left, right = (factor * edge for edge in _box(on))
    margin = 2 * factor + round(MARGIN * max(bottom - top, right - left))
    part = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
    opacity = None if picture.opacity is None else picture.opacity[part]
    cropped = picture._replace(pixels=picture.pixels[part], opacity=opacity)
    return _reduced(cropped, -(-max(cropped.pixels.shape[:2]) // REACH))


def _reduced(picture: Picture, factor: int) -> Picture:
    """Each square of so many pixels as its mean; over black, so that what is transparent weighs nothing."""
    if factor == 1:
        return picture

    from PIL import Image

    def reduced(pixels: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(pixels).reduce(factor))

    grey = picture.pixels.shape[2] == 1
    pixels = reduced(picture.pixels[:, :, 0])[:, :, None] if grey else reduced(picture.pixels)
    return picture._replace(pixels=pixels, opacity=None if picture.opacity is None else reduced(picture.opacity))


def _on_paper(picture: Picture) -> tuple[Grey, list[str]]:
    """Luma (H, W) of the picture, where it is transparent over the paper from which its ink differs most."""
    from PIL import Image

    pixels = picture.pixels
    grey = np.asarray(Image.fromarray(pixels).convert("L") if pixels.shape[2] == 3 else pixels[:, :, 0], np.float64)
    if picture.opacity is None:
        return grey, []
    opacity = picture.opacity.astype(np.float64) / 255
    if opacity.sum() == 0:
        return grey, []
    ink_is_dark = grey.sum() / opacity.sum() < 127.5  # the pixels lie over black
    paper = 255.0 if ink_is_dark else 0.0
    return grey + paper * (1 - opacity), [PAPER.format("white" if ink_is_dark else "black")]


def in_form(pictures: Sequence[Picture], side: int) -> list[bool]:
    """Whether each is one of light ink on black, of the net's size, scaled and centred as MNIST's are.

    Every image of a net that knows ink passes here, alone or with many, so it is reckoned in whole numbers and with
    few steps for each.
    """
    found = [picture.opacity is None and picture.pixels.shape == (side, side, 1) for picture in pictures]
    if found.count(True) <= FEW:
        return [it and _is_in_form(picture.pixels, side) for it, picture in zip(found, pictures, strict=True)]
    below_each_other = np.concatenate([picture.pixels for it, picture in zip(found, pictures, strict=True) if it])
    answers = iter(_are_in_form(below_each_other.reshape(-1, side, side), side))
    return [it and next(answers) for it in found]


def _are_in_form(pixels: Pixels, side: int) -> list[bool]:
    """Whether pictures (n, side, side) are, as `_is_in_form` finds of each."""
    ink_at_rim = pixels[:, [0, -1]].astype(bool).sum(axis=(1, 2)) + pixels[:, :, [0, -1]].astype(bool).sum(axis=(1, 2))
    each, place = _weights(side)
    levels = pixels.astype(each.dtype)
    rows, columns = levels @ each, each @ levels  # (n, side)
    length = np.maximum(_extent(rows > 0), _extent(columns > 0))
    mass, row, column = (sums.astype(np.float64) for sums in (rows @ each, rows @ place, columns @ place))
    some, box, middle = np.maximum(mass, 1.0), round(BOX * side), side / 2
    fits = (length >= box - NEARLY) & (length <= box) & (mass > 0) & (ink_at_rim < 2 * side)
    centred = (np.abs(row / some - middle) <= OFF_CENTRE) & (np.abs(column / some - middle) <= OFF_CENTRE)
    found: list[bool] = (fits & centred).tolist()
    return found


def _extent(ink: NDArray[np.bool_]) -> NDArray[np.int_]:
    """In each row of lines (n, side), from the first with ink to the last."""
    extent: NDArray[np.int_] = ink.shape[1] - ink.argmax(axis=1) - ink[:, ::-1].argmax(axis=1)
    return extent


def _is_in_form(pixels: Pixels, side: int) -> bool:
    """The same of one picture (side, side, 1)."""
    data = pixels.tobytes()
    rim = data[:side] + data[-side:] + data[::side] + data[side - 1 :: side]
    if 2 * rim.count(0) <= len(rim) or data.count(0) == len(data):
        return False
    height, width = _rows_with_ink(data, side), _rows_with_ink(pixels[:, :, 0].T.tobytes(), side)
    mass, row, column = _moments(side).dot(pixels.ravel().astype(np.float64)).tolist()  # sooner than by @
    box, middle = round(BOX * side), side / 2
    return (
        box - NEARLY <= max(height, width) <= box
        and abs(row / mass - middle) <= OFF_CENTRE
        and abs(column / mass - middle) <= OFF_CENTRE
    )


def _rows_with_ink(data: bytes, side: int) -> int:
    """From the first row with ink to the last, of a picture with rows of so many bytes that has some."""
    first, behind_last = len(data) - len(data.lstrip(b"\0")), len(data.rstrip(b"\0"))
    return (behind_last - 1) // side + 1 - first // side


@lru_cache(maxsize=16)
def _weights(side: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """1 for each row or column of a square, and its number (side,), in the shortest floats that hold all sums exactly.

    The sums are whole numbers, the largest that of the columns of an image that is all white.
    """
    real = np.float32 if 255 * side**3 < 1 << 24 else np.float64
    return np.ones(side, real), np.arange(side, dtype=real)


@lru_cache(maxsize=16)
def _moments(side: int) -> Grey:
    """For each pixel of a square 1, its row and its column (3, side²): by these its mass and their sums are reckoned.

    The sums are whole numbers that float64 holds, so the product is exact.
    """
    rows, columns = np.indices((side, side), np.float64)
    return np.stack([np.ones(side * side), rows.ravel(), columns.ravel()])


def _paper(grey: Grey) -> Grey:
    """The shade of the paper everywhere (H, W): a plane through the border, and then through all that is near it."""
    height, width = grey.shape
    y, x = (np.arange(n) / max(n - 1, 1) - 0.5 for n in (height, width))
    rim = max(1, round(RIM * min(height, width)))
    chosen = np.ones(grey.shape, bool)
    chosen[rim:-rim, rim:-rim] = False
    middle = float(np.median(grey[chosen]))
    chosen &= np.abs(grey - middle) <= max(FAINTEST, 3 * float(np.median(np.abs(grey[chosen] - middle))))
    paper = np.full(grey.shape, middle)
    for _ in range(FITS):
        paper = _plane(grey, chosen, x, y)
        chosen = np.abs(grey - paper) < FAINTEST
        if not chosen.any():
            break
    return paper


def _plane(grey: Grey, chosen: NDArray[np.bool_], x: Grey, y: Grey) -> Grey:
    """The plane (H, W) through the chosen pixels that is nearest to them in squares, x and y being the coordinates.

    By the normal equations, of whose sums each is one pass over the picture; in coordinates within half of the middle
    they are well conditioned.
    """
    weights, values = chosen.astype(np.float64), np.where(chosen, grey, 0.0)
    of_rows, of_columns = weights.sum(axis=1), weights.sum(axis=0)
    xy = y @ weights @ x
    gram = [
        [of_rows.sum(), of_columns @ x, of_rows @ y],
        [of_columns @ x, of_columns @ x**2, xy],
        [of_rows @ y, xy, of_rows @ y**2],
    ]
    sums = [values.sum(), values.sum(axis=0) @ x, values.sum(axis=1) @ y]
    (level, across, down), *_ = np.linalg.lstsq(np.array(gram), np.array(sums), rcond=None)
    plane: Grey = level + across * x[None, :] + down * y[:, None]
    return plane


def _mass(residual: Grey) -> float:
    """How much there is on one side of the paper's shade."""
    return float(residual[residual > FAINTEST / 2].sum())


def _placed(ink: Grey, side: int) -> tuple[Pixels, bool]:
    """Ink (H, W) of 0 to 1 in the middle of a square of pixels, and whether it had to be moved or scaled for that."""
    top, bottom, left, right = _box(ink > SOLID)
    margin = round(0.02 * max(bottom - top, right - left))  # faint edges belong to the ink
    top, left = max(0, top - margin), max(0, left - margin)
    cropped = ink[top : bottom + margin, left : right + margin]
    box = round(BOX * side)
    scale = box / max(bottom - top, right - left)
    if not box - NEARLY <= max(bottom - top, right - left) <= box:
        from PIL import Image

        height, width = (max(1, round(length * scale)) for length in cropped.shape)
        shrunk = Image.fromarray((255 * cropped).astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
        cropped = np.clip(np.asarray(shrunk, np.float64) / 255, 0.0, 1.0)
    else:
        scale = 1.0
    pixels = np.zeros((side, side), np.uint8)
    y, x = (round(side / 2 - centre) for centre in _centre_of_mass(cropped))
    y, x = (min(max(at, 0), max(0, side - n)) for at, n in zip((y, x), cropped.shape, strict=True))
    part = cropped[: side - y, : side - x]
    pixels[y : y + part.shape[0], x : x + part.shape[1]] = (255 * part).round().astype(np.uint8)
    moved = scale != 1.0 or (y, x) != (top, left) or ink.shape != pixels.shape
    return pixels[:, :, None], moved


def _box(on: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The first row, the one behind the last, the first column, the one behind the last of what is set."""
    rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _centre_of_mass(ink: Grey) -> tuple[float, float]:
    """Row and column, the first of each at 0."""
    total = ink.sum()
    row, column = (ink.sum(axis=1 - axis) @ np.arange(ink.shape[axis]) / total for axis in (0, 1))
    return float(row), float(column)
