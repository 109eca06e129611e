"""What has been measured of recurrent nets: one file of JSON, kept beside the document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trained(_Kept):
    """One kind of net at one task: five seeds side by side."""

    task: str
    net: str
    steps: int
    """Of one sequence."""
    updates: int
    units: int
    parameters: int
    macs: int
    """Multiply-accumulates of the hidden layer over one sequence."""
    tried: dict[str, float]
    """Rates, and the mean error with each on the seeds and data of their own."""
    rate: float
    errors: tuple[float, ...]
    """Each seed's."""
    losses: tuple[tuple[float, ...], ...]
    """Each seed's mean losses over each part of the training."""
    seconds: float
    """Of one processor, for all seeds together."""


class Echoed(_Kept):
    """Echo state networks of one size, five reservoirs."""

    units: int
    fitted: int
    """Weights of the readout."""
    errors: tuple[float, ...]
    seconds: float
    """Of one processor, for all reservoirs together."""


class Sized(_Kept):
    """One kind of net at the number of units that all have."""

    net: str
    units: int
    modules: int
    parameters: int
    macs: int
    """Multiply-accumulates of the hidden layer over one sequence."""
    milliseconds: float
    """Of one processor, for one update: forward, backward and a step of Adam."""


class Record(_Kept):
    """Everything."""

    sized: tuple[Sized, ...] = ()
    trained: tuple[Trained, ...] = ()
    echoed: tuple[Echoed, ...] = ()

    def added(self, found: Trained) -> "Record":
        """This and one more kind of net at a task, in the place of what it was before."""
        others = (one for one in self.trained if (one.task, one.net) != (found.task, found.net))
        return self.model_copy(update={"trained": (*others, found)})

    def of(self, task: str) -> dict[str, Trained]:
        """The nets at a task, by kind."""
        return {found.net: found for found in self.trained if found.task == task}


def read_record(path: Path) -> Record:
    """What lies there; nothing where there is no file."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()


def write_record(path: Path, record: Record) -> None:
    """Write all of it."""
    path.write_text(record.model_dump_json() + "\n", "utf-8")
