"""The stages of an evaluation: how long each took, and word of it to whoever follows the evaluation of this task."""

import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar

FOLLOWER: ContextVar[Callable[[str, float], object] | None] = ContextVar("FOLLOWER", default=None)
"""Called at the end of each stage with its name and its seconds; tasks that are begun within inherit it."""


@contextmanager
def timed(seconds: MutableMapping[str, float], stage: str) -> Iterator[None]:
    """Note how long a stage takes that comes to its end."""
    began = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - began
    if (tell := FOLLOWER.get()) is not None:
        tell(stage, seconds[stage])
