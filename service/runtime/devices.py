"""One device and the thread that feeds it: weights onto it, batches through it."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from service.errors import ConfigurationError, DeviceUnavailable, ServiceError, UntrustedWeights
from service.files import file_sha256
from service.machine import cores, memory_bytes
from service.nets.folding import fold
from service.nets.pauses import pausing_between_layers
from service.nets.registry import open_net
from service.runtime.arithmetic import compute_exactly
from service.runtime.calls import Array
from service.runtime.queues import Batch
from service.runtime.steps import Steps
from service.store import Model
from service.tasks.registry import task_of
from service.telemetry.vitals import resident_bytes

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")
"""How a CPU's allocator, and CUDA's libraries, say so in errors of no class of their own."""
WEIGHT_OF_THE_LAST = 0.1
"""How much the last forward pass of its kind counts in what such a pass usually takes."""


def available_devices(wanted: str) -> list[str]:
    """The devices that get an engine each: every CUDA device there is, else the CPU, for `auto`."""
    if wanted == "auto":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return [f"cuda:{index}" for index in range(count)] or ["cpu"]
    return [name.strip() for name in wanted.split(",") if name.strip()]


class Device:
    """A torch device, used from one thread, which has `threads` of the processor's cores to itself.

    Making one sets torch to compute exactly, for all of the process. Raises ConfigurationError for a device that can
    never be here, DeviceUnavailable for one that cannot be opened now.
    """

    def __init__(self, name: str, *, threads: int = 0) -> None:
        self._device = _open(name)
        self.name = name
        self.steps = Steps()
        self._usual_s: dict[tuple[str, str, int], float] = {}
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"device-{name}")
        self.thread.submit(torch.set_num_threads, threads or cores()).result()
        compute_exactly()

    def place(self, model: Model) -> nn.Module:
        """The model's net with its weights, on the device, ready to infer. Raises UntrustedWeights, InvalidManifest."""
        for known in [known for known in self._usual_s if known[0] == model.id]:
            del self._usual_s[known]
        with self.steps.at(f"loading {model.id}"):
            return self._place(model)

    def _place(self, model: Model) -> nn.Module:
        if model.card is not None and (found := file_sha256(model.weights)) != model.card.sha256:
            raise UntrustedWeights.of_file(model.weights, f"it has sha256 {found}; its card says {model.card.sha256}")
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
        call, began = batch.call, time.monotonic()
        kind = (model.id, call.verb, batch.size)
        usual_s = self._usual_s.get(kind)
        with self.steps.at(f"{call.verb} of {model.id}", usual_s):
            results = self._forward(net, model, batch)
        if _takes_as_long_as_ever(call.verb):
            took_s = time.monotonic() - began
            self._usual_s[kind] = took_s if usual_s is None else usual_s + (took_s - usual_s) * WEIGHT_OF_THE_LAST
        return results

    def _forward(self, net: nn.Module, model: Model, batch: Batch) -> list[Array]:
        task = task_of(batch.call.verb, batch.call.options)
        with torch.inference_mode():
            tensors = [torch.from_numpy(array).to(self._device) for array in gather(batch)]
            outputs = task.forward(net, tensors, model.manifest)
            if any(len(output) != batch.size for output in outputs):
                raise ValueError(f"{[len(output) for output in outputs]} results for {batch.size} rows")
            return [output.cpu().numpy()[: batch.rows] for output in outputs]

    def memory_bytes(self) -> dict[str, int]:
        """What is in use of the device's memory, by whomever, and what there is; of a CPU, by this process alone."""
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            return {"used": total - free, "total": total}
        return {"used": resident_bytes(os.getpid()), "total": memory_bytes()}

    def refusal(self, error: Exception, model: Model) -> ServiceError:
        """Why a model could not be loaded here, as callers may know it."""
        if isinstance(error, ServiceError):
            return type(error)(error.detail.replace(f"{model.folder.parent}{os.sep}", ""), errors=error.errors)
        if self.is_out_of_memory(error):
            return ServiceError(f"{self.name} has no memory left for {model.id}.")
        return ServiceError(f"{model.id} cannot be loaded.")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error means that this was too much at once, and less may do."""
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        return isinstance(error, RuntimeError) and any(word in str(error) for word in OUT_OF_MEMORY)

    def relieve(self) -> None:
        """Give back what the allocator keeps for later, after something was too much at once."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def is_lost(self, error: BaseException) -> bool:
        """Whether an error means that nothing more will run on this device in this process."""
        return self._device.type == "cuda" and isinstance(error, torch.AcceleratorError)

    def close(self) -> None:
        """End the device's thread."""
        self.thread.shutdown(wait=True, cancel_futures=True)


def _open(name: str) -> torch.device:
    """The device of this name, with memory on it. Raises ConfigurationError, DeviceUnavailable."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"There is no device {name!r}: {error}") from error
    if device.type == "cuda" and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        raise ConfigurationError(f"There is no device {name!r}: the torch that is installed here knows no CUDA.")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceUnavailable(f"There is no device {name!r} now: {error}") from error
    return device


def _takes_as_long_as_ever(verb: str) -> bool:
    """Whether what one batch of a verb took says how long the next of that size will; else options and lengths do."""
    task = task_of(verb)
    return task.warmed and not task.any_length


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
