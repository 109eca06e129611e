"""What has been measured of one net's features: one file of JSON, kept beside the document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Snapshot(_Kept):
    """A net at one moment of its training."""

    epoch: int
    accuracy: float
    """On the first images of the test set."""
    moved: dict[str, float]
    """By layer, how far the projections are from those at the end: 1 − the mean cosine."""


class Response(_Kept):
    """How features change with one thing that is done to images."""

    of: str
    amounts: tuple[float, ...]
    distances: dict[str, tuple[tuple[float, ...], ...]]
    """By layer and image, ‖f(x) − f(x′)‖ / ‖f(x)‖ at each amount."""
    probabilities: tuple[tuple[float, ...], ...]
    """Of the true label, by image, at each amount."""


class Correspondence(_Kept):
    """Whether hiding the same place changes different images of a class in the same way."""

    layer: str
    same: tuple[float, ...]
    """Each class's mean Hamming distance between signs of changes, places being the same."""
    anywhere: tuple[float, ...]
    """The same with places drawn for each image."""


class Record(_Kept):
    """Everything."""

    weights: str = ""
    """The first digits of the sha256 of the served net's."""
    labels: tuple[str, ...] = ()
    """Of the images that are changed."""
    snapshots: tuple[Snapshot, ...] = ()
    responses: tuple[Response, ...] = ()
    correspondences: tuple[Correspondence, ...] = ()
    classes: tuple[str, ...] = ()
    """Whose images had a part hidden."""


def read_record(path: Path) -> Record:
    """What lies there; nothing where there is no file."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()
