"""What has been measured: a line of JSON for every training, so that one that was stopped goes on."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from experiments.claims.trial import Measurement, Trial


class Record:
    """Measurements by trial and seed, in a file to which lines are added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, int], Measurement] = {}
        if path.is_file():
            for line in path.read_text("utf-8").splitlines():
                values = json.loads(line)
                self._keep(Measurement(**{**values, "curve": tuple(values["curve"])}))

    def _keep(self, measurement: Measurement) -> None:
        self._found[measurement.trial, measurement.seed] = measurement

    def has(self, trial: Trial, seed: int) -> bool:
        """Whether this was measured already."""
        return (trial.key, seed) in self._found

    def add(self, measurement: Measurement) -> None:
        """Write a line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(measurement)}\n")
        self._keep(measurement)

    def of(self, trial: Trial) -> list[Measurement]:
        """The seeds of a trial that were measured, in order."""
        return sorted((found for (key, _), found in self._found.items() if key == trial.key), key=lambda one: one.seed)

    def write(self, path: Path, trials: Iterable[Trial]) -> None:
        """The measurements of these trials and no others, in their order: what belongs into git."""
        lines = [_line(measurement) for trial in trials for measurement in self.of(trial)]
        path.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)), "utf-8")


def _line(measurement: Measurement) -> str:
    return json.dumps(asdict(measurement), separators=(", ", ": "))
