"""torch.cuda as far as a card's pipeline asks it, on the processor: what is appended to a stream is done at once.

A graph is what its recording found: played again it answers the same, so that a test sees that it was played.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch


@dataclass
class FakeCuda:
    """What was asked, and whether the context is alive."""

    alive: bool = True
    streams: list["Stream"] = field(default_factory=list)
    current: list["Stream"] = field(default_factory=list)
    replayed: int = 0
    recorded: int = 0
    refuses_graphs: bool = False
    emptied: int = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put it in the place of torch's own."""
        for kind in (Stream, Event, CUDAGraph):
            monkeypatch.setattr(torch.cuda, kind.__name__, partial(kind, self))
        for name in ("stream", "device", "graph", "current_stream", "get_device_name", "mem_get_info", "empty_cache"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, len(self.streams)))

    @contextmanager
    def stream(self, stream: "Stream") -> Iterator[None]:
        """Append to a stream what happens inside."""
        self.current.append(stream)
        yield
        self.current.pop()

    @contextmanager
    def device(self, _device: object) -> Iterator[None]:
        """There is one."""
        yield

    def graph(self, _graph: object, *, stream: "Stream", **_more: object) -> AbstractContextManager[None]:
        """Record what happens inside."""
        if self.refuses_graphs:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recorded += 1
        return self.stream(stream)

    def current_stream(self, _device: object) -> "Stream":
        """One that nobody made."""
        return Stream(self)

    def get_device_name(self, _device: object) -> str:
        """A name."""
        return "NVIDIA Imaginary 80GB"

    def mem_get_info(self, _device: object) -> tuple[int, int]:
        """Free and total. Raises RuntimeError, as a context that died does."""
        if not self.alive:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return 60, 80

    def empty_cache(self) -> None:
        """Count it."""
        self.emptied += 1


class Stream:
    """Appends nothing: all is done at once."""

    def __init__(self, cuda: FakeCuda, _device: object = None, priority: int = 0) -> None:
        self.priority = priority
        self.waited: list[Event] = []
        cuda.streams.append(self)

    def wait_event(self, event: "Event") -> None:
        """Note it."""
        assert event.recorded is not None, "it would not wait for it"
        self.waited.append(event)

    def synchronize(self) -> None:
        """There is nothing to wait for."""


class Event:
    """A place in a stream."""

    def __init__(self, cuda: FakeCuda, *, blocking: bool) -> None:
        assert blocking, "else a core would turn in circles"
        self._cuda = cuda
        self.recorded: Stream | None = None

    def record(self, stream: Stream) -> None:
        """It is here."""
        self.recorded = stream

    def synchronize(self) -> None:
        """Wait. Raises RuntimeError, as a context that died does."""
        self._cuda.mem_get_info(None)


class CUDAGraph:
    """Answers what its recording found."""

    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda = cuda

    def replay(self) -> None:
        """Count it."""
        self._cuda.replayed += 1
