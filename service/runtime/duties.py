"""Which engine does what where cards and the processor serve side by side: a series step by step is no card's work."""

from enum import StrEnum
from pathlib import Path

FORECASTING = frozenset({"continue", "fit", "forecast"})
"""The verbs of forecasters: one step after another, each too small for a card."""


class Duty(StrEnum):
    """What an engine is there for."""

    ALL = "all"
    FORECASTS = "forecasts"
    OTHERS = "others"
    """All but forecasts, which another engine does."""

    def holds(self, task: str) -> bool:
        """Whether models of this task are loaded before anybody asks for them."""
        return self is Duty.ALL or (task == "forecast") is (self is Duty.FORECASTS)

    def does(self, verb: str) -> bool:
        """Whether a verb is for such an engine, where there is one for each."""
        return self is Duty.ALL or (verb in FORECASTING) is (self is Duty.FORECASTS)


def socket_of(folder: Path, number: int, duty: Duty) -> Path:
    """Where an engine listens; by its name everybody knows what it is there for."""
    return folder / f"{duty}-{number}.sock"


def number_of(socket: Path) -> int:
    """Which of its service's engines listens there."""
    return int(socket.stem.rpartition("-")[2])


def duty_of(socket: Path) -> Duty:
    """What the engine behind a socket is there for."""
    word = socket.stem.partition("-")[0]
    return Duty(word) if word in list(Duty) else Duty.ALL
