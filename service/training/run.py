"""What every training loop is given beside its recipe."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from service.datasets.series import Series
from service.datasets.split import Split
from service.errors import ModelNotFound
from service.store import Manifest, Model
from service.training.budget import Best, Budget
from service.training.checkpoints import Checkpoints
from service.training.progress import Progress
from service.training.team import Team

Points = NDArray[np.float32]


def find_nothing(model_id: str) -> Model:
    """Stands for the store where there is none. Raises ModelNotFound."""
    raise ModelNotFound(f"There is no model called {model_id!r}: this training knows no store.")


@dataclass(frozen=True, slots=True)
class Run:
    """One training: of what, on what, where it can be stopped, who watches, who trains along.

    Torch's generator is seeded before the loop starts. `data` is of training only. `find` gives the models with which
    others may begin.
    """

    manifest: Manifest
    data: Split | Series | Points
    device: torch.device
    checkpoints: Checkpoints
    progress: Progress
    team: Team = field(default_factory=Team)
    find: Callable[[str], Model] = find_nothing
    noticed: list[str] = field(default_factory=list)
    """What went wrong on the way, in words for the card; the loop writes it."""
    ending: dict[str, float] = field(default_factory=dict)
    """What was measured last, for the card; the loop writes it, finite numbers only."""
    budget: Budget = field(default_factory=Budget)
    best: Best = field(default_factory=Best)

    def offer(self, net: nn.Module, score: float) -> None:
        """Say how good the net is that would be served now: the lower the better. It counts where time may run out."""
        if self.budget.limit_s is not None:
            self.best.offer(net, score)

    def is_over(self, done: int, total: int, rounds: str) -> bool:
        """Whether the training ends with this round, the last or that for which there is time; for all of the team."""
        if done >= total or not self.team.agree(over=self.budget.is_over(), device=self.device):
            return done >= total
        words = f"its time of {self.budget.limit_s:.0f} s was up after {done} of {total} {rounds}"
        self.progress.say(f"{words}; the best until then is kept")
        self.noticed.append(words)
        return True

    @property
    def images(self) -> Split:
        """The data of a loop over images."""
        assert isinstance(self.data, Split)
        return self.data

    @property
    def points(self) -> Points:
        """The data of a loop over points in the plane, (n, 2)."""
        assert isinstance(self.data, np.ndarray)
        return self.data

    @property
    def series(self) -> Series:
        """The data of a loop over a series."""
        assert isinstance(self.data, Series)
        return self.data
