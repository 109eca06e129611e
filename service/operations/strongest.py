"""The test images to which each unit of a net answers most: a file of them, written once and read unit by unit."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from service.errors import InvalidManifest, UnitsNotFound
from service.files import write_whole
from service.imaging import Pixels
from service.settings import Settings
from service.store import Model

STRONGEST = 9
"""Images of each unit, as in figure 2 of Zeiler and Fergus."""
FILE = "units.safetensors"
"""Beside a model's weights, where it came with the store."""
DESCRIPTION = "units"
Pair = tuple[int, int]
"""Down the image and across."""


class Box(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """That part of an image (H, W, …)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


class UnitLayer(BaseModel):
    """One layer: how many units it has, maps of which size, and which part of the image a place of a map sees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    units: int
    size: Pair
    field: Pair
    """How many pixels a unit sees; more than there are where that reaches into the padding."""
    steps: Pair
    starts: Pair

    def field_within(self, image: Pair) -> Pair:
        """What a unit sees at most of an image of this height and width."""
        return min(self.field[0], image[0]), min(self.field[1], image[1])

    def box_at(self, place: int, image: Pair) -> Box:
        """What is seen of an image of this height and width from a place of the map, counted row by row."""
        ends = []
        for where, side, step, start, length in zip(
            divmod(place, self.size[1]), self.field, self.steps, self.starts, image, strict=True
        ):
            first = start + where * step
            ends.append((max(0, min(first, length - 1)), max(1, min(first + side, length))))
        (top, bottom), (left, right) = ends
        return Box(top, left, bottom - top, right - left)


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The strongest images of each unit of a layer: rows among the kept images, values and places, each (K, 9)."""

    rows: NDArray[np.int32]
    strengths: NDArray[np.float32]
    places: NDArray[np.int32]


class StrongImage(NamedTuple):
    """One of the strongest images of a unit."""

    pixels: Pixels
    number: int
    """Which image of the test set it is."""
    label: int
    strength: float
    place: Pair
    box: Box


class Description(BaseModel):
    """What a file of strongest images is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    dataset: str
    images: int
    """How many images were looked at."""
    layers: tuple[UnitLayer, ...]


def save_strongest(
    path: Path,
    description: Description,
    peaks: Sequence[Peaks],
    *,
    images: Pixels,
    numbers: NDArray[np.int32],
    labels: NDArray[np.int32],
) -> None:
    """Write the strongest images of every layer; of `images` (M, H, W, C), each kept once, their numbers and labels."""
    arrays: dict[str, NDArray[Any]] = {"images": images, "numbers": numbers, "labels": labels}
    for layer, found in zip(description.layers, peaks, strict=True):
        arrays |= {f"{name}/{layer.name}": array for name, array in asdict(found).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(arrays, metadata={DESCRIPTION: description.model_dump_json()}))


def made_path(settings: Settings, model_id: str) -> Path:
    """Where the strongest images of a model lie that were looked for on this machine."""
    return settings.state / "units" / f"{model_id}.safetensors"


class Strongest:
    """The strongest images of a model's units, from the state directory, or as they came with the store."""

    def __init__(self, path: Path, description: Description) -> None:
        self._path = path
        self.description = description
        self.layers = {layer.name: layer for layer in description.layers}

    @classmethod
    def of(cls, settings: Settings, model: Model) -> Self:
        """Those of this model's weights. Raises UnitsNotFound, which says what makes them; InvalidManifest."""
        command = f"`chapterhouse models units {model.id}`"
        stale = ""
        for path in (made_path(settings, model.id), model.folder / FILE):
            if not path.is_file():
                continue
            found = cls(path, _described(path))
            if found.description.version == model.version:
                return found
            stale = f"; those there are were found with the weights {found.description.version}"
        dataset = model.manifest.dataset
        raise UnitsNotFound(
            f"Nobody has looked for the images to which the units of {model.id} {model.version} answer most{stale}. "
            f"{command} does, on a machine that has the dataset (`chapterhouse data fetch {dataset}`)."
        )

    def of_unit(self, layer: UnitLayer, unit: int) -> list[StrongImage]:
        """The strongest images of one unit, strongest first. Raises InvalidManifest for a file that lacks some."""
        try:
            return list(self._read(layer, unit))
        except SafetensorError as error:
            raise InvalidManifest(f"{self._path}: {error}") from error

    def _read(self, layer: UnitLayer, unit: int) -> Iterator[StrongImage]:
        with safe_open(self._path, framework="numpy") as file:
            rows, strengths, places = (
                file.get_slice(f"{name}/{layer.name}")[unit : unit + 1][0] for name in ("rows", "strengths", "places")
            )
            numbers, labels = file.get_tensor("numbers"), file.get_tensor("labels")
            kept = file.get_slice("images")
            for row, strength, place in zip(rows.tolist(), strengths.tolist(), places.tolist(), strict=True):
                [pixels] = kept[row : row + 1]
                box = layer.box_at(place, pixels.shape[:2])
                where = divmod(place, layer.size[1])
                yield StrongImage(pixels, int(numbers[row]), int(labels[row]), strength, where, box)


def _described(path: Path) -> Description:
    try:
        with safe_open(path, framework="numpy") as file:
            return Description.model_validate_json((file.metadata() or {})[DESCRIPTION])
    except (SafetensorError, KeyError, ValidationError) as error:
        raise InvalidManifest(f"{path} holds no strongest images of units: {error}") from error
