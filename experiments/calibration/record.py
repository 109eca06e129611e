"""What has been measured of the classifiers' probabilities: one file of JSON, kept beside the document."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.calibration import Calibration, FittedOn
from service.metrics.reliability import Reliability
from service.store import Model


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Diagram(_Kept):
    """A reliability diagram: images, mean confidence and accuracy of each bin."""

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @classmethod
    def of(cls, found: Reliability) -> "Diagram":
        """The same, rounded."""
        confidence, accuracy = (
            tuple(round(value, 5) for value in values.tolist()) for values in (found.confidence, found.accuracy)
        )
        return cls(counts=tuple(found.counts.tolist()), confidence=confidence, accuracy=accuracy)


class Measurement(_Kept):
    """One classifier on its test set and on what is strange to it, by its own probabilities and calibrated."""

    model: str
    weights: str
    """The first digits of their sha256."""
    temperature: float
    fitted_on: FittedOn = "twin"
    of_test: float | None = None
    """The temperature that the test images would have been given, whatever it was fitted on."""
    limit: float | None = None
    """Beyond which an image is strange."""
    before: Diagram
    after: Diagram
    confident: dict[str, tuple[float, float]]
    """The shares of each kind of images that are named with 0.9 or more, before and after."""
    noted: dict[str, float]
    """The shares of the half of each from which the limit of strangeness was not taken that are beyond it."""

    def is_of(self, model: Model, calibration: Calibration) -> bool:
        """Whether these weights were measured at this temperature and with this limit."""
        wanted = (model.version, calibration.temperature, calibration.fitted_on, calibration.strangeness.limit)
        return (self.weights, self.temperature, self.fitted_on, self.limit) == wanted


class Team(_Kept):
    """Classifiers of digits that name together: the mean of their calibrated probabilities."""

    members: tuple[str, ...]
    accuracy: float
    confident: dict[str, float]
    """The shares of each kind of images that are named with 0.9 or more."""


class Record(_Kept):
    """Everything."""

    measurements: tuple[Measurement, ...] = ()
    namers: dict[str, float] = {}
    """The temperatures of the teams' members."""
    teams: tuple[Team, ...] = ()

    def find(self, model_id: str) -> Measurement | None:
        """What was measured of a model."""
        return next((found for found in self.measurements if found.model == model_id), None)


def read_record(path: Path) -> Record:
    """What lies there; nothing where there is no file."""
    return Record.model_validate_json(path.read_bytes()) if path.is_file() else Record()


def write_record(
    path: Path, measurements: Sequence[Measurement], namers: dict[str, float], teams: Sequence[Team]
) -> None:
    """Write these and no others."""
    record = Record(measurements=tuple(measurements), namers=namers, teams=tuple(teams))
    path.write_text(record.model_dump_json() + "\n", "utf-8")
