"""What has been measured: a line of JSON for every training, so that one that was stopped goes on."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from experiments.claims.trial import Measurement, Trial

TUNED_ON = 100
"""The seed on which rates are tried; what came of it is never among the results."""


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
        found = [one for (key, seed), one in self._found.items() if key == trial.key and seed != TUNED_ON]
        return sorted(found, key=lambda one: one.seed)

    def tried(self, trial: Trial) -> Measurement | None:
        """What a trial came to on the seed by which rates are chosen."""
        return self._found.get((trial.key, TUNED_ON))

    def write(self, path: Path, trials: Iterable[Trial]) -> None:
        """The measurements of these trials and no others, in their order: what belongs into git."""
        lines = [_line(one) for trial in trials for one in (self.tried(trial), *self.of(trial)) if one is not None]
        path.write_text("".join(f"{line}\n" for line in dict.fromkeys(lines)), "utf-8")


def _line(measurement: Measurement) -> str:
    return json.dumps(asdict(measurement), separators=(", ", ": "))
