"""docs/inputs.md lists what the code reads and says, and nothing else."""

import re
from pathlib import Path

import pytest

from service.api.bodies import UNSAID
from service.evaluation.samples.archives import ARRAYS
from service.imaging import MEDIA_TYPES, reading

PAGE = (Path(__file__).parent.parent / "docs" / "inputs.md").read_text("utf-8")
WORDS = (
    reading.PALETTE,
    reading.ALPHA,
    reading.DEPTH,
    reading.INKS,
    reading.FRAMES,
    reading.TURNED,
    reading.REST,
)


def test_the_types_of_a_body_are_those_that_are_read() -> None:
    named = set(re.findall(r"`((?:image|application|binary)/[\w.+-]+)`", PAGE))
    assert named == {*MEDIA_TYPES, *UNSAID}


def test_the_formats_of_images_are_those_that_are_read() -> None:
    assert [name for name in reading.FORMATS if name not in PAGE] == []


@pytest.mark.parametrize("words", WORDS)
def test_what_is_done_to_an_image_is_in_its_table(words: str) -> None:
    assert f"| {words} |" in PAGE


@pytest.mark.parametrize("name", ARRAYS)
def test_every_array_that_is_looked_at_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE
