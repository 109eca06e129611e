"""What has been measured of digits in other forms: one file of JSON, kept beside the document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.store import Model


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Form(_Kept):
    """One classifier's accuracy on digits in one form."""

    accuracy: float
    as_is: float
    """The same where the images are taken as they are."""
    notes: tuple[str, ...]
    """What was done to more than half of the images, in the words of `/classify`."""


class Measurement(_Kept):
    """One classifier."""

    model: str
    weights: str
    """The first digits of their sha256."""
    forms: dict[str, Form]

    def is_of(self, model: Model) -> bool:
        """Whether these weights were measured."""
        return (self.model, self.weights) == (model.id, model.version)


class Record(_Kept):
    """Everything."""

    count: int = 0
    """Digits of each form."""
    unchanged: dict[str, tuple[int, int]] = {}
    """Of each part of MNIST how many images pass unchanged, and of how many."""
    measurements: tuple[Measurement, ...] = ()


def read_record(path: Path) -> Record:
    """What lies there; nothing where there is no file."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()
