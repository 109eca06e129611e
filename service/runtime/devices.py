"""One device and the thread that feeds it: weights onto it, batches through it."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import nn

from service import __version__
from service.errors import ConfigurationError, DeviceUnavailable, InvalidManifest, ServiceError, UntrustedWeights
from service.files import file_sha256
from service.forms.form import Form, Place
from service.machine import cores, memory_bytes, processor
from service.nets.arithmetic import compute_exactly
from service.nets.folding import fold
from service.nets.pauses import pausing_between_layers
from service.nets.registry import NETS, open_net
from service.runtime.calls import Array
from service.runtime.queues import Batch
from service.runtime.steps import Steps
from service.store import Model
from service.tasks.registry import task_of
from service.telemetry.vitals import resident_bytes

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "_STATUS_ALLOC_FAILED")
"""How a CPU's allocator, and CUDA's libraries, say so in errors of no class of their own."""
MOST_ROWS = 1024
"""No batch is larger: so many wait at most."""
HEAVY_MACS = 20_000_000
"""From so many multiplications an image on, two cores are faster than one by more than they cost."""
LAST = 10
"""How nice a thread is that loads a model."""
WEIGHT_OF_THE_LAST = 0.1
"""How much the last forward pass of its kind counts in what such a pass usually takes."""


class Flight(Protocol):
    """A batch on its way through a device."""

    def landed(self) -> Awaitable[list[Array]]:
        """Its results, padding removed. Raises what it met."""
        ...


class Device:
    """A torch device, used from one thread, which has `threads` of the processor's cores to itself.

    Batches that need not be exact may be given up to `most_threads`, and grow beyond a manifest's to `most_rows` where
    that is found to be worth it. `name` is what people call it, `at` what torch does, if that is another. Making one
    sets torch to compute exactly, for all of the process. Raises ConfigurationError for a device that can never be
    here, DeviceUnavailable for one that cannot be opened now.
    """

    def __init__(
        self, name: str, *, at: str | None = None, threads: int = 0, most_threads: int = 0, most_rows: int = 0
    ) -> None:
        self._device = _open(name, at or name)
        self.name = name
        self.pads = self._device.type != "cpu"
        """Whether batches are of few sizes, for which it prepares itself; a CPU takes any."""
        self.most_rows = most_rows
        self.in_flight = 1
        """Batches that may be under way at a time; more than one where they are begun and land later."""
        self.steps = Steps()
        self._usual_s: dict[tuple[str, str], dict[int, float]] = {}
        """What batches of a model and a verb take, by their size."""
        self._threads = threads or cores()
        self._most_threads = max(self._threads, most_threads)
        self._given: dict[str, int] = {}
        """Threads for what is not exact, of the models for which that has been measured."""
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"device-{name}")
        self.thread.submit(torch.set_num_threads, self._threads).result()
        self.loader = ThreadPoolExecutor(1, thread_name_prefix=f"loader-{name}", initializer=_go_last)
        compute_exactly()

    @property
    def kind(self) -> str:
        """What it is, in words that are the same for devices that compute the same bits."""
        return self._device.type

    @property
    def bits(self) -> str:
        """All that the bits of exact work depend on, in words: devices of two machines that say the same give the same.

        A card's depend on it and its libraries, a processor's on what it can do and how many threads share the work.
        """
        libraries = f"cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
        processors = f"{processor()}, {torch.backends.cpu.get_cpu_capability()}, {self._threads} threads"
        beside = processors if self._device.type == "cpu" else libraries
        return f"{self.kind}, {beside}, torch {torch.__version__}, Chapterhouse {__version__}"

    @property
    def choices(self) -> Sequence[int]:
        """Numbers of threads between which a net may choose: as few as it has for certain, or all."""
        most = self._most_threads if self._device.type == "cpu" else self._threads
        return sorted({self._threads, most})

    def place_of(self, model: Model) -> Place:
        """Where a model's forms run: on all cores if it is heavy by its card, and no clock, so that engines agree."""
        heavy = model.card is not None and (model.card.macs or 0) >= HEAVY_MACS
        return Place(str(self._device), self.choices[-1 if heavy else 0])

    def give_threads(self, model: Model, threads: int) -> None:
        """Use so many threads for batches of a model from now on, unless they have to be exact."""
        self._given[model.id] = threads

    def time(self, net: nn.Module, model: Model, batch: Batch, threads: int | None) -> float:
        """The seconds that a batch takes, on so many threads if they are given."""
        if threads is not None:
            self.give_threads(model, threads)
        began = time.perf_counter()
        self.forward(net, model, batch)
        return time.perf_counter() - began

    def place(self, model: Model) -> nn.Module:
        """The model's net with its weights, on the device, ready to infer. Raises UntrustedWeights, InvalidManifest."""
        for known in [known for known in self._usual_s if known[0] == model.id]:
            del self._usual_s[known]
        self._given.pop(model.id, None)
        with self.steps.at(f"loading {model.id}"):
            return self._place(model)

    def _place(self, model: Model) -> nn.Module:
        if model.card is not None and (found := file_sha256(model.weights)) != model.card.sha256:
            raise UntrustedWeights.of_file(model.weights, f"it has sha256 {found}; its card says {model.card.sha256}")
        net = open_net(model.manifest.net, model.manifest.options, model.weights)
        if model.manifest.task == "generate" and model.manifest.net in NETS:
            # Twice as fast on a CPU; classifiers keep the form in which stored references were extracted.
            fold(net)
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net.to(self._home_of(model))

    def _home_of(self, model: Model) -> torch.device:  # noqa: ARG002 - others tell models apart
        """Where a model's weights lie, and its rows while they are computed."""
        return self._device

    def forward_pausing(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        """As `forward`, with the pauses that its task makes. Raises Stopped."""
        if isinstance(net, Form) or task_of(batch.call.verb, batch.call.options).pauses != "between layers":
            return self.forward(net, model, batch)
        return self.forward_in_slices(net, model, batch)

    def forward_in_slices(self, net: nn.Module, model: Model, batch: Batch) -> list[Array]:
        """As `forward`, with a pause before every layer of a net that nobody else uses so. Raises Stopped."""
        with pausing_between_layers(net):
            return self.forward(net, model, batch)

    def forward(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        """The results of a batch, padding removed; the items along axis 0. Raises ValueError for too few or many."""
        with self.computing(model, batch, time.monotonic()):
            return self._forward(net, model, batch)

    @contextlib.contextmanager
    def computing(self, model: Model, batch: Batch, began: float) -> Iterator[None]:
        """Count a batch as under way on this thread, and learn what such a one takes that began then."""
        call = batch.call
        known = self._usual_s.get((model.id, call.verb), {})
        with self.steps.at(f"{call.verb} of {model.id}", _usual(known, batch.size)):
            yield
        if _takes_as_long_as_ever(call.verb):
            took_s = time.monotonic() - began
            usual_s = known.get(batch.size, took_s)
            known[batch.size] = usual_s + (took_s - usual_s) * WEIGHT_OF_THE_LAST
            self._usual_s[model.id, call.verb] = known

    def pipelines(self, batch: Batch) -> bool:  # noqa: ARG002 - as devices are
        """Whether a batch is begun here and lands later, beside others."""
        return False

    def begin(self, net: nn.Module | Form, model: Model, batch: Batch) -> Flight:
        """Send a batch on its way, where the device pipelines it. Raises Stopped where nobody waits for it any more."""
        raise NotImplementedError

    def prepare(self, net: nn.Module | Form, model: Model, batch: Batch) -> None:
        """Make ready for batches like this one, with pauses for what is short. Raises what such a batch raises."""
        if isinstance(net, Form):
            self.forward(net, model, batch)
        else:
            self.forward_in_slices(net, model, batch)

    def forget(self, model_id: str) -> None:
        """Let go of what is kept for a model. Called on the device's thread."""

    def _forward(self, net: nn.Module | Form, model: Model, batch: Batch) -> list[Array]:
        task = task_of(batch.call.verb, batch.call.options)
        torch.set_num_threads(self._threads_for(net, model, batch))
        with torch.inference_mode():
            tensors = [torch.from_numpy(array).to(self._home_of(model)) for array in gather(batch)]
            outputs = [net.logits(tensors[0])] if isinstance(net, Form) else task.forward(net, tensors, model.manifest)
            if any(len(output) != batch.size for output in outputs):
                raise ValueError(f"{[len(output) for output in outputs]} results for {batch.size} rows")
            return [output.cpu().numpy()[: batch.rows] for output in outputs]

    def memory_bytes(self) -> dict[str, int]:
        """What is in use of the device's memory, by whomever, and what there is; of a CPU, by this process alone."""
        return {"used": resident_bytes(os.getpid()), "total": memory_bytes()}

    def _threads_for(self, net: nn.Module | Form, model: Model, batch: Batch) -> int:
        if isinstance(net, Form):
            return self.place_of(model).threads
        return self._threads if batch.exact else self._given.get(model.id, self._threads)

    def refusal(self, error: Exception, model: Model) -> ServiceError:
        """Why a model could not be loaded here, as callers may know it."""
        if isinstance(error, ServiceError):
            return type(error)(error.detail.replace(f"{model.folder.parent}{os.sep}", ""), errors=error.errors)
        if self.is_out_of_memory(error):
            return ServiceError(f"{self.name} has no memory left for {model.id}.")
        if model.manifest.net not in NETS:
            said = f"its net does not do what is said here: loaded and tried it raised {type(error).__name__}."
            return InvalidManifest.of_file(model.folder / "model.toml", said)
        return ServiceError(f"{model.id} cannot be loaded.")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error means that this was too much at once, and less may do."""
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        return isinstance(error, RuntimeError) and any(word in str(error) for word in OUT_OF_MEMORY)

    def relieve(self) -> None:
        """Give back what the allocator keeps for later, after something was too much at once."""

    def is_lost(self, error: BaseException) -> bool:  # noqa: ARG002 - a processor is never lost
        """Whether an error means that nothing more will run on this device in this process."""
        return False

    def close(self) -> None:
        """End the device's threads."""
        self.loader.shutdown(wait=True, cancel_futures=True)
        self.thread.shutdown(wait=True, cancel_futures=True)


def _open(name: str, at: str) -> torch.device:
    """The device that torch calls `at`, with memory on it. Raises ConfigurationError, DeviceUnavailable."""
    try:
        device = torch.device(at)
    except RuntimeError as error:
        raise ConfigurationError(f"There is no device {name!r}: {error}") from error
    if device.type == "cuda" and not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        raise ConfigurationError(f"There is no device {name!r}: the torch that is installed here knows no CUDA.")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceUnavailable(f"There is no device {name!r} now: {error}") from error
    return device


def _go_last() -> None:
    """Let all other threads of this machine go before this one, and need no more than one core."""
    torch.set_num_threads(1)
    if sys.platform == "linux":  # which knows the priority of a single thread
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LAST)


def _usual(known_s: dict[int, float], size: int) -> float | None:
    """What a batch of this size usually takes, or at most, by what others took; None where none of them is known."""
    if size in known_s or not known_s:
        return known_s.get(size)
    largest = max(known_s)
    return known_s[largest] * max(1.0, size / largest)


def _takes_as_long_as_ever(verb: str) -> bool:
    """Whether what one batch of a verb took says how long the next of that size will; else options and lengths do."""
    task = task_of(verb)
    return task.warmed and not task.any_length


def gather(batch: Batch) -> Sequence[Array]:
    """The rows of all shares in one array each, zeros after them up to the batch's size."""
    columns = list(zip(*[share.arrays() for share in batch.shares], strict=True))
    if missing := batch.size - batch.rows:
        columns = [(*parts, np.zeros((missing, *parts[0].shape[1:]), parts[0].dtype)) for parts in columns]
    return [np.concatenate(parts) for parts in columns]
