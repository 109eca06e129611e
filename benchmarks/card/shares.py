"""What is left of the card's own speed: a net alone, through an engine, and in forms over HTTP through the service."""

import asyncio
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.card import forms
from benchmarks.card.place import Place, answered, seconds_of
from benchmarks.load.service import Service
from benchmarks.load.wire import request
from benchmarks.peers.opened import call
from benchmarks.throughput import BOUNDARY, form_of
from service.cli.load import Load
from service.forms.whole import Whole
from service.nets.folding import simplified
from service.nets.registry import build_net
from service.nets.weights import save_weights
from service.runtime.calls import Call
from service.runtime.in_process import LocalEngine
from service.settings import Settings
from service.store import Model, ModelStore

MODELS = ("nin-cifar10", "vgg16-imagenet")
REHEARSED = ("lenet5-mnist",)
SIZES = (64, 256, 1024)
FORM = 64
OPEN = 16
"""Forms that are always open, at the engine and at the service."""
GOALS = {"engine": 0.95, "service": 0.5}
"""Of what torch does alone, by recorded passes of its best size."""
FORWARDS = 3.0
"""The p99 of a form at half load, in passes of such a form alone."""


def run(place: Place) -> None:
    """Measure each net in the three ways, in float32: the service may be faster in another form."""
    for name in REHEARSED if place.rehearsal else MODELS:
        folder = place.out / f"shares-{name}"
        shutil.rmtree(folder, ignore_errors=True)  # an earlier run's
        model = stocked(ModelStore.of(Settings()).described(name), folder / "state" / "models")
        size = 4 if place.rehearsal else FORM
        seconds = 1.0 if place.rehearsal else max(2.0, place.left_s / (8 * len(MODELS)))
        best, form_s = alone(place, model, size)
        place.write(model=name, way="torch alone", images_per_s=round(best))
        _tell(place, name, "engine", asyncio.run(through_engine(place, model, size, seconds)), best)
        _tell(place, name, "service", through_service(place, model, size, seconds, folder, form_s), best)


def _tell(place: Place, name: str, way: str, rate: float, best: float) -> None:
    share = round(rate / best, 3)  # of nothing where the card is simulated, which sleeps
    judged = {} if place.rehearsal else {"share": share, "goal": GOALS[way], "reached": share >= GOALS[way]}
    place.write(model=name, way=way, images_per_s=round(rate), **judged)


def stocked(model: Model, layer: Path) -> Model:
    """The model in a layer of its own; where nobody has its weights, with such as are drawn, which take as long."""
    folder = layer / model.id
    shutil.copytree(model.folder, folder, ignore=shutil.ignore_patterns("recording*"))
    if (labels := model.folder.parent / "labels").is_dir():
        shutil.copytree(labels, layer / "labels")
    if not model.weights.is_file():
        save_weights(build_net(model.manifest.net, model.manifest.options), folder / "weights.safetensors")
    return Model(folder)


@torch.inference_mode()
def alone(place: Place, model: Model, size: int) -> tuple[float, float]:
    """Images a second that torch computes alone in its best size, and the seconds of one pass of a form."""
    net = Whole(simplified(build_net(model.manifest.net, model.manifest.options)), model.input, torch.float32)
    net.eval().to(place.at)
    took_s: dict[int, float] = {}
    for rows in sorted({size, *SIZES[: 0 if place.rehearsal else None]}):
        images = torch.zeros(rows, *model.input.size, model.input.channels, dtype=torch.uint8, device=place.at)
        try:
            compute = forms.made("eager" if place.rehearsal else "graph", net, images, rehearsal=place.rehearsal)
        except torch.OutOfMemoryError:
            break  # on a card with little memory the best is among the smaller ones
        took_s[rows] = seconds_of(place, lambda compute=compute, images=images: compute(images))
    return max(rows / seconds for rows, seconds in took_s.items()), took_s[size]


async def through_engine(place: Place, model: Model, size: int, seconds: float) -> float:
    """Images a second of forms that an engine in this process answers."""
    image = np.zeros((size, *model.input.size, model.input.channels), np.uint8)
    async with LocalEngine(ModelStore(model.folder.parent), device=place.open()) as engine:
        await engine.load(model.id)
        began = time.monotonic()

        async def ask() -> int:
            answered = 0
            while time.monotonic() - began < seconds:
                await engine.submit(Call(model.id, "classify"), [image])
                answered += size
            return answered

        answered = await asyncio.gather(*(ask() for _ in range(OPEN)))
        return sum(answered) / (time.monotonic() - began)


def through_service(place: Place, model: Model, size: int, seconds: float, folder: Path, form_s: float) -> float:
    """Images a second of forms over HTTP at full load; what they wait at half of it is written beside that."""
    form, path = form_of(model, size), f"/classify?model={model.id}"
    media = f"multipart/form-data; boundary={BOUNDARY}"
    with Service(folder, DEVICES=place.device, PRELOAD=model.id, FORM="plain") as service:
        load = Load(service.url + path, form, media, connections=OPEN, seconds=seconds)
        full = answered(load)
        assert not full.errors, full.errors
        rate = full.requests_per_s
        assert rate, f"no form was answered within {seconds:.0f} s"
        half_s = max(seconds, (3 if place.rehearsal else 100) / (rate / 2))  # a tail needs so many
        half = call(service.address[1], [request("POST", path, form, media=media)], rate / 2, half_s)
    forwards = round(half.p99_ms / 1000 / form_s, 2)
    reached = forwards <= FORWARDS and not half.failed
    judged = {} if place.rehearsal else {"forwards": forwards, "goal": FORWARDS, "reached": reached}
    place.write(model=model.id, way="service at half load", p99_ms=round(half.p99_ms, 2), failed=half.failed, **judged)
    return rate * size
