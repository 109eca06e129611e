"""`card.json`: what training and calibrating found out about a model."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from service.calibration import Calibration
from service.exactness import FormName, FormScore
from service.files import write_whole
from service.store.manifest import Written

_NUMBERS = re.compile(r"\[\s+([-+.\deE,\s]+?)\s+\]")
"""A list of nothing but numbers, over several lines."""


class Layer(Written):
    """One row of a net's table: sizes are channels, height, width of one item."""

    name: str
    kind: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None = Field(description="Input pixels, along one side, that one unit sees.")


class Score(Written):
    """A number measured on data that training never saw, and how."""

    value: float
    on: str
    how: str


class Card(Written):
    """`card.json`: what `chapterhouse train` found out about a model."""

    sha256: str
    size_bytes: int
    parameters: int
    macs: int | None = Field(description="None of a file of others, which keeps its layers to itself.")
    layers: tuple[Layer, ...]
    seed: int
    versions: dict[str, str]
    hardware: str
    seconds: float
    recipe: dict[str, Any]
    noticed: tuple[str, ...] = Field((), description="What went wrong in training, such as a collapse, and when.")
    ending: dict[str, float] = Field(
        {}, description="The last row of its history, where there is one: of a stack, means and deviations over it."
    )
    scores: dict[str, Score]
    calibration: Calibration | None = Field(
        None, description="What makes a classifier's probabilities ones to believe; `chapterhouse calibrate` finds it."
    )
    forms: dict[FormName, FormScore] = Field({}, description="Of a classifier; `chapterhouse models forms` finds them.")


def write_card(card: Card, path: Path) -> None:
    """Write `card.json`, a row of numbers on one line; a reader sees the old one or the new one, never half of it."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    text = _NUMBERS.sub(lambda row: f"[{' '.join(row[1].split())}]", text)
    write_whole(path, text.encode())
