"""Models that get no work for a while because an engine hung in them: it is refused before it could take another."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import orjson

from service.errors import ModelSetAside


@dataclass(frozen=True, slots=True)
class Aside:
    """One model, of which version, and for how many seconds from now on."""

    model_id: str
    version: str
    """Empty where nobody knows which it was; then any version is meant."""
    seconds: float


def written(models: Iterable[Aside]) -> str:
    """As one word of a command line."""
    return orjson.dumps([[each.model_id, each.version, each.seconds] for each in models]).decode()


def read(said: str) -> list[Aside]:
    """What `written` wrote."""
    return [Aside(*each) for each in orjson.loads(said)]


class AsideModels:
    """Those of one engine. Another version of a model is another model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, tuple[str, float]] = {}

    def put(self, aside: Aside) -> None:
        """Set one aside, or for no seconds at all take it back."""
        self._until.pop(aside.model_id, None)
        if aside.seconds > 0:
            self._until[aside.model_id] = aside.version, self._clock() + aside.seconds

    def check(self, model_id: str, version: Callable[[], str]) -> None:
        """Raise ModelSetAside for one that is; its version is asked for only where it may be."""
        if model_id not in self._until:
            return
        meant, until = self._until[model_id]
        left_s = until - self._clock()
        if left_s <= 0:
            del self._until[model_id]
        elif meant in ("", version()):
            raise ModelSetAside(
                f"{model_id} gets no work now: a forward pass of it did not end, and its engine had to be killed."
                " It is tried again later, and at once when it is loaded or in another version."
            ).again_in(left_s)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The ids and versions of those that are set aside now."""
        now = self._clock()
        return iter([(model_id, version) for model_id, (version, until) in self._until.items() if now < until])
