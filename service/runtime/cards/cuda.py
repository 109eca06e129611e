"""An NVIDIA card: copies beside computing, graphs for warm sizes, float32 as it is written where a result is exact."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from service.forms.form import Form
from service.runtime.calls import Array
from service.runtime.cards.graphs import Graphs, Pass
from service.runtime.cards.pipeline import PipelinedDevice
from service.runtime.cards.streams import Mark, Piece, Stage
from service.runtime.devices import MOST_ROWS
from service.runtime.queues import Batch
from service.store import Model

URGENT, PATIENT = -1, 0
"""Priorities of streams: of two that compute at once the first is served first."""


class CudaMark:
    """A place in a stream."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self.event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self.event.record(stream)

    def wait(self) -> None:
        """Return when the card is past it, without keeping a core busy. Raises what the card met."""
        self.event.synchronize()


class CudaStreams:
    """A stream a stage. Work appends its kernels to the stream as soon as it is run."""

    def __init__(self, device: torch.device, priority: int) -> None:
        self.of: dict[Stage, torch.cuda.Stream] = {
            stage: torch.cuda.Stream(device, priority=priority)  # type: ignore[no-untyped-call]
            for stage in Stage
        }

    def run(self, stage: Stage, piece: Piece, work: Callable[[], None], after: Mark | None = None) -> Mark:  # noqa: ARG002
        """Append work to a stage's stream."""
        stream = self.of[stage]
        if isinstance(after, CudaMark):
            stream.wait_event(after.event)
        with torch.cuda.stream(stream):
            work()
        return CudaMark(stream)

    def close(self) -> None:
        """Wait for what is under way; of a card that is lost nothing is."""
        with contextlib.suppress(RuntimeError):
            for stream in self.of.values():
                stream.synchronize()


class CudaDevice(PipelinedDevice):
    """A card that torch calls `at`.

    Nets are float32 without TF32, with cuDNN's deterministic algorithms: whatever is exact is computed so. Forms that
    are allowed to be less precise bring their own weights, and are recorded as graphs like the nets.
    """

    def __init__(self, name: str, *, at: str, threads: int = 1) -> None:
        super().__init__(name, at=at, threads=threads)
        self._streams = [CudaStreams(self._device, priority) for priority in (URGENT, PATIENT)]
        self.lay(self._streams)
        self.most_rows = MOST_ROWS
        self._graphs = Graphs()
        self._kind = f"{torch.cuda.get_device_name(self._device)}, float32"

    @property
    def kind(self) -> str:
        """What the card calls itself, and what it computes exact work in."""
        return self._kind

    def place(self, model: Model) -> nn.Module:
        """The model's net with its weights, on the card. Raises UntrustedWeights, InvalidManifest."""
        net = super().place(model)
        torch.cuda.current_stream(self._device).synchronize()  # other streams will read the weights
        return net

    def prepare(self, net: nn.Module | Form, model: Model, batch: Batch) -> None:
        """Forward a batch as it is, and record what it took."""
        results = super().forward(net, model, batch)
        del results
        if self.pipelines(batch):
            slot = self._rings.take(batch)
            compute = partial(self._eagerly, net, model, batch)
            stream = self._streams[batch.exact].of[Stage.COMPUTE]
            try:
                self._graphs.record(_pass_of(net, batch), compute, slot.placed, stream)
            finally:
                slot.free()

    def _eagerly(self, net: nn.Module | Form, model: Model, batch: Batch, placed: Sequence[Tensor]) -> Sequence[Tensor]:
        return super()._outputs(placed, net, model, batch)

    def _outputs(self, placed: Sequence[Tensor], net: nn.Module | Form, model: Model, batch: Batch) -> Sequence[Tensor]:
        recording = self._graphs.of(_pass_of(net, batch))
        return self._eagerly(net, model, batch, placed) if recording is None else recording.play(placed)

    def forward(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        """The results of one batch alone, padding removed."""
        with torch.cuda.device(self._device):
            return super().forward(net, model, batch)

    def forget(self, model_id: str) -> None:
        """Let go of what is kept for a model, and of what the allocator keeps of it."""
        self._graphs.forget(model_id)
        super().forget(model_id)
        torch.cuda.empty_cache()

    def relieve(self) -> None:
        """Give back what is kept for later."""
        super().relieve()
        torch.cuda.empty_cache()

    def memory_bytes(self) -> dict[str, int]:
        """What is in use of the card's memory, by whomever, and what there is."""
        free, total = torch.cuda.mem_get_info(self._device)
        return {"used": total - free, "total": total}

    def is_lost(self, error: BaseException) -> bool:
        """Whether nothing more will run on this card in this process: its context is asked, whatever the error says."""
        if self.is_out_of_memory(error) or not isinstance(error, RuntimeError):
            return False
        try:
            torch.cuda.mem_get_info(self._device)
            torch.empty(1, device=self._device)
        except RuntimeError:  # a context that died answers everything so
            return True
        return type(error).__name__ == "AcceleratorError"


def _pass_of(net: nn.Module | Form, batch: Batch) -> Pass:
    return Pass(batch.call.model, net.name if isinstance(net, Form) else "", batch.call.verb, batch.size, batch.exact)
