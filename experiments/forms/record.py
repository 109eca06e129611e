"""How fast each form of each classifier was found to be: one file of JSON, kept beside the document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.exactness import FormName


class Timings(BaseModel):
    """One classifier on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    machine: str
    threads: int
    packages: dict[str, str]
    seconds: dict[FormName, dict[int, float]]
    """Of each form, by the rows of a batch: the processor's time for a forward pass."""


class Record(BaseModel):
    """All of them, one a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timings: tuple[Timings, ...] = ()

    def find(self, model_id: str) -> Timings | None:
        """What was measured of a model."""
        return next((found for found in self.timings if found.model == model_id), None)

    def with_timings(self, timings: Timings) -> "Record":
        """The same with these in the place of those of the same model."""
        others = (found for found in self.timings if found.model != timings.model)
        return Record(timings=tuple(sorted((*others, timings), key=lambda found: found.model)))


def read_record(path: Path) -> Record:
    """What the file holds; nothing where there is none."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()


def write_record(path: Path, record: Record) -> None:
    """Write the file anew."""
    path.write_text(record.model_dump_json(indent=1) + "\n", "utf-8")
