"""Every net and verb on a card beside the processor, in float32: how far the answers lie apart."""

from collections.abc import Iterator

import numpy as np

from benchmarks.card.place import Place
from service.runtime.calls import Call, Lane
from service.runtime.devices import Device
from service.runtime.queues import Batch, Share
from service.runtime.work import Work
from service.settings import Settings
from service.store import Model, ModelStore
from service.tasks.registry import TASKS, task_of

ROWS = 8
SHORT = ("lenet5-mnist", "gan-mnist", "esn-mackey-glass")
TOLERANCE = 1e-3
"""Of the largest number of an answer: what float32 summed in another order may move."""


def run(place: Place) -> None:
    """Compare all that have weights here."""
    processor, card = Device("cpu"), place.open()
    for model in _models(place):
        verbs = [verb for verb, task in TASKS.items() if task.warmed and task.serves(model.manifest)]
        nets = [device.loader.submit(device.place, model).result() for device in (processor, card)]
        for verb in verbs:
            batch = _drawn(model, verb)
            one, other = [
                device.thread.submit(device.forward, net, model, batch).result()
                for device, net in zip((processor, card), nets, strict=True)
            ]
            apart = max(map(_apart, one, other))
            place.write(model=model.id, verb=verb, apart=float(f"{apart:.2g}"), agrees=bool(apart <= TOLERANCE))
        card.thread.submit(card.forget, model.id).result()
    for device in (processor, card):
        device.close()


def _models(place: Place) -> Iterator[Model]:
    store = ModelStore.of(Settings())
    for name in store.ids():
        if not place.rehearsal or name in SHORT:
            yield store.get(name)


def _drawn(model: Model, verb: str) -> Batch:
    """A batch of random numbers as a verb takes them."""
    rng, task = np.random.default_rng(0), task_of(verb)
    rows = 1 if task.pauses == "by itself" else model.manifest.serving.block if task.exact else ROWS
    arrays = [
        rng.integers(0, 256, shape, np.uint8) if dtype == "uint8" else rng.standard_normal(shape).astype(dtype)
        for shape, dtype in task.example(model.manifest, rows)
    ]
    work = Work(Call(model.id, verb), arrays, rows, Lane.INTERACTIVE, None, "", lambda _: None)
    return Batch(work.call, [Share(work, 0, rows)], rows, task.exact)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    if one.size == 0:
        return 0.0
    a, b = one.astype(np.float64), other.astype(np.float64)
    return float(np.nanmax(np.abs(a - b)) / max(1e-9, np.nanmax(np.abs(a))))
