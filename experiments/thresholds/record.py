"""What has been measured of floors and of baselines: one file of JSON, kept beside the document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DirectFloor(_Kept):
    """What real images score against a stored reference, beside what its law says of as many."""

    count: int
    """Images of a set."""
    sets: int
    mean: float
    deviation: float
    """Standard deviation from one set to the next."""
    by_law: float
    """The floor that a report of an evaluation of so many samples names."""
    spread_by_law: float


class ReferenceFloors(_Kept):
    """The floors of one stored reference."""

    reference: str
    sha256: str
    """Of the reference's images."""
    weights_sha256: str
    """Of the extractor that looked at them."""
    extractor: str
    images: str
    """Whose images the sets are."""
    fid: tuple[DirectFloor, ...]
    part: int
    between_parts: float
    """Mean FID of disjoint parts of so many of the reference's own images, which the extractor has not seen."""
    worth: int
    """Images whose FID against the whole reference is as large as that, by 1/n."""
    floor_of_worth: float


class FreshScores(_Kept):
    """A metric of every set of samples, in the order of their seeds."""

    values: tuple[float, ...]
    errors: tuple[float | None, ...]
    """Standard errors with the reference held fixed; none where the samples do not tell."""
    ideal: float | None = None


class WorseThanItself(_Kept):
    """How often one set of a generator's samples is called worse than another."""

    share: float
    error: float
    """The share's own standard error, by a jackknife over the sets."""
    undecided: float = 0.0
    """The share of comparisons that are called inconclusive."""


class FreshSets(_Kept):
    """Sets of one generator's samples, each measured against one reference."""

    model: str
    version: str
    reference: str
    sets: int
    samples: int
    scores: dict[str, FreshScores]
    worse: dict[str, WorseThanItself] = {}
    """By metric, and of all together under the name of `ANY`."""


class Record(_Kept):
    """Everything."""

    floors: tuple[ReferenceFloors, ...] = ()
    fresh: FreshSets | None = None


ANY = "any"


def read_record(path: Path) -> Record:
    """What lies there; nothing where there is no file."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()


def write_record(path: Path, record: Record) -> None:
    """Write it as it is."""
    path.write_text(record.model_dump_json() + "\n", "utf-8")
