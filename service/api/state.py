"""What the routes share, and how they get it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from service.runtime.calls import EngineClient, EngineControl, EngineStatus
from service.settings import Settings
from service.store import ModelStore
from service.telemetry.instruments import Instruments


@dataclass(frozen=True, slots=True)
class State:
    """One front's view of the service."""

    settings: Settings
    store: ModelStore
    engine: EngineClient
    control: EngineControl
    status: EngineStatus
    instruments: Instruments
    metrics_dir: Path | None = None


def state_of(request: Request) -> State:
    """The state of the application that answers this request."""
    state: State = request.app.state.shared
    return state


StateDep = Annotated[State, Depends(state_of)]
