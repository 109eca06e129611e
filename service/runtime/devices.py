"""One device and the thread that feeds it: weights onto it, batches through it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from service.errors import ConfigurationError, UntrustedWeights
from service.files import file_sha256
from service.machine import cores
from service.nets.folding import fold
from service.nets.pauses import pausing_between_layers
from service.nets.registry import open_net
from service.runtime.arithmetic import compute_exactly
from service.runtime.calls import Array
from service.runtime.queues import Batch
from service.store import Model
from service.tasks.registry import task_of


def available_devices(wanted: str) -> list[str]:
    """The devices that get an engine each: every CUDA device there is, else the CPU, for `auto`."""
    if wanted == "auto":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return [f"cuda:{index}" for index in range(count)] or ["cpu"]
    return [name.strip() for name in wanted.split(",") if name.strip()]


class Device:
    """A torch device, used from one thread, which has `threads` of the processor's cores to itself.

    Making one sets torch to compute exactly, for all of the process.
    """

    def __init__(self, name: str, *, threads: int = 0) -> None:
        try:
            self._device = torch.device(name)
            torch.empty(1, device=self._device)
        except (RuntimeError, AssertionError) as error:
            raise ConfigurationError(f"There is no device {name!r}: {error}") from error
        self.name = name
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"device-{name}")
        self.thread.submit(torch.set_num_threads, threads or cores()).result()
        compute_exactly()

    def place(self, model: Model) -> nn.Module:
        """The model's net with its weights, on the device, ready to infer. Raises UntrustedWeights, InvalidManifest."""
        if model.card is not None and (found := file_sha256(model.weights)) != model.card.sha256:
            raise UntrustedWeights(f"{model.weights} has sha256 {found}; its card says {model.card.sha256}")
        net = open_net(model.manifest.net, model.manifest.options, model.weights)
        if model.manifest.task == "generate":
            # Twice as fast on a CPU; classifiers keep the form in which stored references were extracted.
            fold(net)
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net.to(self._device)

    def forward_pausing(self, net: nn.Module, model: Model, batch: Batch) -> list[Array]:
        """As `forward`, with the pauses that its task makes. Raises Stopped."""
        if task_of(batch.call.verb, batch.call.options).pauses != "between layers":
            return self.forward(net, model, batch)
        with pausing_between_layers(net):
            return self.forward(net, model, batch)

    def forward(self, net: nn.Module, model: Model, batch: Batch) -> list[Array]:
        """The results of a batch, padding removed; the items along axis 0. Raises ValueError for too few or many."""
        task = task_of(batch.call.verb, batch.call.options)
        with torch.inference_mode():
            tensors = [torch.from_numpy(array).to(self._device) for array in gather(batch)]
            outputs = task.forward(net, tensors, model.manifest)
            if any(len(output) != batch.size for output in outputs):
                raise ValueError(f"{[len(output) for output in outputs]} results for {batch.size} rows")
            return [output.cpu().numpy()[: batch.rows] for output in outputs]

    def is_lost(self, error: BaseException) -> bool:
        """Whether an error means that nothing more will run on this device in this process."""
        return self._device.type == "cuda" and isinstance(error, torch.AcceleratorError)

    def close(self) -> None:
        """End the device's thread."""
        self.thread.shutdown(wait=True, cancel_futures=True)


def gather(batch: Batch) -> Sequence[Array]:
    """The rows of all shares in one array each, zeros after them up to the batch's size."""
    shares = [share.arrays() for share in batch.shares]
    gathered = []
    for parts in zip(*shares, strict=True):
        whole = np.empty((batch.size, *parts[0].shape[1:]), parts[0].dtype)
        at = 0
        for part in parts:
            whole[at : at + len(part)] = part
            at += len(part)
        whole[at:] = 0
        gathered.append(whole)
    return gathered
