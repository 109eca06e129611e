"""Where a training stands, on disk: the one place that writes and reads what torch pickles."""

import json
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from service.errors import ConfigurationError, UntrustedWeights
from service.files import written_whole

FILE = "checkpoint.pt"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a publisher's file, unpickling nothing else. Raises UntrustedWeights."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        # torch's own message advises unpickling it all the same.
        raise UntrustedWeights(f"{path} is not a file of tensors and nothing else.") from error
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise UntrustedWeights(f"{path} holds something else than tensors by name.")
    return found


class Stateful(Protocol):
    """A net, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that goes on changing."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take it back."""
        ...


class Checkpoints:
    """A training's place to stop and go on, bit for bit, on the same machine.

    Loops draw every random number from torch's own generator on the CPU, so its state is the only one to keep.
    `identity` is what must not have changed in between: net, options, recipe, seed.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], *, every_s: float = 60.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / FILE
        self._identity = json.dumps(identity, sort_keys=True, default=str)
        self._every_s = every_s
        self._begun = self._kept = time.monotonic()
        self._seconds_before = 0.0
        self._parts: dict[str, Stateful] = {}
        self._within: list[Checkpoints] = []

    @property
    def seconds(self) -> float:
        """How long the training has worked, its earlier lives and its later parts' included."""
        return self._seconds_before + time.monotonic() - self._begun + sum(part.earlier for part in self._within)

    @property
    def earlier(self) -> float:
        """How long its earlier lives have worked."""
        return self._seconds_before

    def within(self, name: str) -> "Checkpoints":
        """Those of a later part of the same training, in a folder inside this one."""
        part = Checkpoints(self.folder / name, json.loads(self._identity) | {"part": name}, every_s=self._every_s)
        self._within.append(part)
        return part

    def restore(self, **parts: Stateful) -> int:
        """Set every part to where it was and return the step reached; 0 where there is no checkpoint.

        From now on these are the parts that `keep` writes.
        Raises ConfigurationError where the checkpoint is that of another training.
        """
        self._parts = parts
        if not self.path.is_file():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        if state["identity"] != self._identity:
            raise ConfigurationError(
                f"{self.path} is the checkpoint of another recipe, seed or version; remove it to start afresh."
            )
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        torch.set_rng_state(state["rng"])
        self._seconds_before = state["seconds"]
        self._begun = time.monotonic()
        step: int = state["step"]
        return step

    def keep(self, step: int, *, last: bool = False) -> None:
        """Write all parts, whole or not at all, if `every_s` has passed since the last time or this is the `last`."""
        if not last and time.monotonic() - self._kept < self._every_s:
            return
        state = {
            "identity": self._identity,
            "step": step,
            "seconds": self.seconds,
            "rng": torch.get_rng_state(),
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
        }
        with written_whole(self.path) as file:
            torch.save(state, file)
        self._kept = time.monotonic()

    def forget(self) -> None:
        """Remove the checkpoint, and those of later parts, so that the next training starts afresh."""
        for path in (self.path, *self.folder.glob(f"*/{FILE}")):
            path.unlink(missing_ok=True)
