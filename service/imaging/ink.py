"""A drawn character brought to the form in which a net knows it: light ink on black, centred by its mass.

MNIST's own recipe (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998, section III-A; yann.lecun.com/exdb/mnist): the
ink's box is scaled to 20×20 with its proportions kept, and its centre of mass put into the middle of 28×28. Here the
ink is found first, on paper of any colour, lit unevenly, or transparent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
FITS = 3
"""How often the paper is fitted to what is not ink."""

INVERTED = "was dark on light and was inverted"
PAPER = "was transparent and was laid over {} paper"
UNEVEN = "lay on paper of another shade, which was taken off"
CENTRED = "was cropped to its ink, scaled and centred by its mass"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pixels (H, W, 1) in the net's form, and what was done for that, in words."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


def as_light_ink(picture: Picture, side: int) -> Drawn | None:
    """A picture of one character as light ink on black, `side` pixels square, centred as MNIST's are.

    None for one that has this form already, which nothing is done to, and for one in which no ink is found.
    """
    grey, notes = _on_paper(picture)
    if picture.opacity is None and _is_in_form(picture.pixels, side):
        return None
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
    if not light:
        notes.append(INVERTED)
    placed, moved = _placed(ink, side)
    if moved:
        notes.append(CENTRED)
    if not notes:
        notes.append(UNEVEN)
    return Drawn(placed, tuple(notes))


def _on_paper(picture: Picture) -> tuple[Grey, list[str]]:
    """Luma (H, W) of the picture, where it is transparent over the paper from which its ink differs most."""
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


def _is_in_form(pixels: Pixels, side: int) -> bool:
    """Whether a picture is one of light ink on black, of the net's size, scaled and centred as MNIST's are."""
    if pixels.shape != (side, side, 1):
        return False
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(rim) > 0 or not pixels.any():
        return False
    top, bottom, left, right = _box(pixels[:, :, 0] > 0)
    longest = max(bottom - top, right - left)
    box = round(BOX * side)
    off = np.abs(np.array(_centre_of_mass(pixels[:, :, 0].astype(np.float64))) - side / 2)
    return box - NEARLY <= longest <= box and bool((off <= OFF_CENTRE).all())


def _paper(grey: Grey) -> Grey:
    """The shade of the paper everywhere (H, W): a plane through the border, and then through all that is near it."""
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    y, x = y / max(height - 1, 1) - 0.5, x / max(width - 1, 1) - 0.5
    rim = max(1, round(RIM * min(height, width)))
    chosen = np.ones(grey.shape, bool)
    chosen[rim:-rim, rim:-rim] = False
    middle = float(np.median(grey[chosen]))
    chosen &= np.abs(grey - middle) <= max(FAINTEST, 3 * float(np.median(np.abs(grey[chosen] - middle))))
    design = np.stack([np.ones(grey.size), x.ravel(), y.ravel()], axis=1)
    paper = np.full(grey.shape, middle)
    for _ in range(FITS):
        plane, *_rest = np.linalg.lstsq(design[chosen.ravel()], grey[chosen], rcond=None)
        paper = (design @ plane).reshape(grey.shape)
        chosen = np.abs(grey - paper) < FAINTEST
        if not chosen.any():
            break
    return paper


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
