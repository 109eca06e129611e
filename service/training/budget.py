"""How long a training may take, and the best that it has come to by then."""

import math
import time
from collections.abc import Callable

from torch import Tensor, nn


class Budget:
    """Time for one training, from now on; without a limit there is always more."""

    def __init__(self, limit_s: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._begun = self._round_began = clock()
        self._longest_s = 0.0

    def is_over(self) -> bool:
        """Whether another round as long as the longest so far would end too late. To be asked after every round."""
        now = self._clock()
        self._longest_s = max(self._longest_s, now - self._round_began)
        self._round_began = now
        return self.limit_s is not None and now - self._begun + self._longest_s > self.limit_s


class Best:
    """The weights with the lowest score so far, of those that were offered."""

    def __init__(self) -> None:
        self._score = math.inf
        self._weights: dict[str, Tensor] = {}

    def offer(self, net: nn.Module, score: float) -> None:
        """Keep what a net has learnt, if nothing better is kept; a score that is no number is none."""
        if score < self._score:
            self._score = score
            self._weights = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    def fill(self, net: nn.Module) -> None:
        """Give a net the best weights; where none were offered its own are."""
        if self._weights:
            net.load_state_dict(self._weights)
