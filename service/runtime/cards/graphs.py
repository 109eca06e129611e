"""Forward passes of warm sizes, recorded once as CUDA graphs and played back without Python between the kernels."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

log = logging.getLogger(__name__)

WARM_UPS = 2
"""Passes before one is recorded: libraries choose and allocate in them."""

Compute = Callable[[Sequence[Tensor]], Sequence[Tensor]]


class Pass(NamedTuple):
    """What a recording is of."""

    model: str
    form: str
    verb: str
    size: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """A graph, and the memory that it reads and writes each time."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    def play(self, placed: Sequence[Tensor]) -> Sequence[Tensor]:
        """The outputs for these inputs; all of it is appended to the current stream."""
        for mine, given in zip(self.inputs, placed, strict=True):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        return [output.clone() for output in self.outputs]  # the next to play, of the same memory, overwrites them


class Graphs:
    """The recordings of one card. Touched on its thread only.

    Those that are played on one stream share their memory, for they are never played at the same time.
    """

    def __init__(self) -> None:
        self._recordings: dict[Pass, Recording] = {}
        self._pools: dict[bool, Any] = {}

    def of(self, wanted: Pass) -> Recording | None:
        """The recording of a pass, if there is one."""
        return self._recordings.get(wanted)

    def record(self, wanted: Pass, compute: Compute, example: Sequence[Tensor], stream: torch.cuda.Stream) -> None:
        """Record a pass; one that cannot be is forwarded as it is, and the log says why. Raises OutOfMemoryError."""
        with torch.cuda.stream(stream), torch.inference_mode():
            inputs = [given.clone() for given in example]
            for _ in range(WARM_UPS):
                compute(inputs)
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        pool = self._pools.setdefault(wanted.exact, torch.cuda.graph_pool_handle())
        try:
            # Other threads load models meanwhile; only what this one does may spoil a recording.
            with (
                torch.inference_mode(),
                torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"),
            ):
                outputs = list(compute(inputs))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            log.warning("%s of %s in batches of %d is forwarded without a graph: %s", wanted.verb, wanted.model,
                        wanted.size, error)  # fmt: skip
            return
        self._recordings[wanted] = Recording(graph, inputs, outputs)

    def forget(self, model_id: str) -> None:
        """Let go of a model's recordings."""
        for known in [known for known in self._recordings if known.model == model_id]:
            del self._recordings[known]
