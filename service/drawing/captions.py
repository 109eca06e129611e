"""Words on pictures: what stands below one, and the number of each of many."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from service.imaging import Pixels

TYPE = 13
"""Size of the type below a picture, in pixels; that of numbers on one of many:"""
SMALL = 10
LEADING = 1.35
MARGIN = 6
BAR = 120
"""Pixels along a scale."""
INK = 225
PLAIN = {"ß": "ss", "×": "x", "−": "-", "–": "-", "→": "->", "≥": ">=", "≤": "<="}
DRAWN = "·…±"
"""What Pillow's own type has beside ASCII."""


@dataclass(frozen=True, slots=True)
class Legend:
    """A scale to be drawn: its colours (n, C), and what the first and the last stand for, in words."""

    colours: Pixels
    low: str
    high: str


def captioned(picture: Pixels, lines: Sequence[str], legend: Legend | None = None) -> Pixels:
    """A picture (H, W, C) with lines of words and a scale below it, on black; lines that are too long are broken."""
    width = picture.shape[1]
    rows = [text_row(piece, width) for line in lines for piece in _broken(line, width - 2 * MARGIN)]
    if legend is not None:
        rows += _legend_rows(legend, width)
    space = np.zeros((MARGIN, width, 1), np.uint8)
    return stacked([picture, space, *rows, space])


def numbered(picture: Pixels, words: str) -> Pixels:
    """One picture of many with a few words above it, cut off where there is no room for them."""
    return stacked([text_row(words, picture.shape[1], size=SMALL, margin=0), picture])


def stacked(pictures: Sequence[Pixels]) -> Pixels:
    """Pictures below each other on black; colour where one of them has it."""
    channels = max(picture.shape[2] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    whole = np.zeros((sum(picture.shape[0] for picture in pictures), width, channels), np.uint8)
    top = 0
    for picture in pictures:
        whole[top : top + picture.shape[0], : picture.shape[1]] = picture
        top += picture.shape[0]
    return whole


def text_row(words: str, width: int, *, size: int = TYPE, margin: int = MARGIN) -> Pixels:
    """Words in white on black, (height, width, 1)."""
    row = Image.new("L", (width, round(LEADING * size)))
    ImageDraw.Draw(row).text((margin, 0), drawable(words), fill=INK, font=_type(size))
    return np.asarray(row)[:, :, None]


def drawable(words: str) -> str:
    """The words in the characters that Pillow's own type has: accents left out, others as question marks."""
    plain = "".join(
        letter if letter in DRAWN else unicodedata.normalize("NFKD", PLAIN.get(letter, letter)) for letter in words
    )
    return "".join(
        letter if letter in DRAWN or " " <= letter <= "~" else "?"
        for letter in plain
        if not unicodedata.combining(letter)
    )


def _broken(words: str, width: int) -> Iterator[str]:
    """Words in lines of at most so many pixels, broken between words, and within one that is longer than a line."""
    line = ""
    for word in words.split(" "):
        wanted = f"{line} {word}" if line else word
        if _length(wanted) <= width:
            line = wanted
            continue
        if line:
            yield line
        line = word
        while _length(line) > width:
            fits = next(end for end in range(len(line), 0, -1) if end == 1 or _length(line[:end]) <= width)
            yield line[:fits]
            line = line[fits:]
    if line:
        yield line


def _legend_rows(legend: Legend, width: int) -> list[Pixels]:
    """What low is, the colours and what high is, in one row, or in two or three where that is too wide."""
    height = round(LEADING * TYPE)
    places = np.linspace(0, len(legend.colours) - 1, BAR).round().astype(int)
    bar = np.zeros((height, BAR + 2 * MARGIN, legend.colours.shape[1]), np.uint8)
    bar[3:-3, MARGIN:-MARGIN] = legend.colours[places]
    ends = [text_row(words, _length(words) + 2 * MARGIN) for words in (legend.low, legend.high)]
    parts = [ends[0], bar, ends[1]]
    if sum(part.shape[1] for part in parts) <= width:
        whole = np.zeros((height, width, bar.shape[2]), np.uint8)
        left = 0
        for part in parts:
            whole[:, left : left + part.shape[1]] = part
            left += part.shape[1]
        return [whole]
    lines = [
        [text_row(piece, width) for piece in _broken(words, width - 2 * MARGIN)] for words in (legend.low, legend.high)
    ]
    return [*lines[0], bar[:, :width], *lines[1]]


def _length(words: str) -> int:
    return int(np.ceil(_type(TYPE).getlength(drawable(words))))


@cache
def _type(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
