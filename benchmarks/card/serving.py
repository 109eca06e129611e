"""The whole service with several engines on one card: images, forms, samples, evaluations, and an engine that dies."""

import io
import signal
import time
from typing import Any

import httpx
import numpy as np

from benchmarks.card.place import Place, answered
from benchmarks.load.service import Service
from benchmarks.throughput import BOUNDARY, form_of
from service.cli.load import Load, Reading
from service.imaging import encode_png
from service.settings import Settings
from service.store import ModelStore

ENGINES = (1, 2, 4)
MODELS = ("lenet5-mnist", "nin-cifar10")
FORM = 64
CONNECTIONS = {"single images": 64, "forms": 16}
PATIENCE_S = 120.0


def run(place: Place) -> None:
    """Serve with each number of engines in turn."""
    numbers = ENGINES[: 1 if place.rehearsal else None]
    for engines in numbers:
        folder = place.out / f"service-{engines}"
        models = MODELS[: 1 if place.rehearsal else None]
        with Service(folder, DEVICES=",".join([place.device] * engines), PRELOAD=",".join(models)) as service:
            seconds = 0.5 if place.rehearsal else max(2.0, place.left_s / (8 * len(numbers)))
            for name in models:
                _classify(place, service, name, engines, seconds)
            _generate(place, service, engines)
            _kill(place, service, engines)


def _classify(place: Place, service: Service, name: str, engines: int, seconds: float) -> None:
    model = ModelStore.of(Settings()).get(name)
    spec = model.input
    image = np.random.default_rng(0).integers(0, 256, (*spec.size, spec.channels), np.uint8)
    url, form = f"{service.url}/classify?model={name}", f"multipart/form-data; boundary={BOUNDARY}"
    size = 4 if place.rehearsal else FORM
    for what, body, kind, images in (
        ("single images", encode_png(image), "image/png", 1),
        ("forms", form_of(model, size), form, size),
    ):
        connections = CONNECTIONS[what]
        reading = answered(Load(url, body, kind, connections=connections, seconds=seconds))
        half = answered(Load(url, body, kind, connections=max(1, connections // 8), seconds=seconds / 2))
        place.write(model=name, engines=engines, what=what, images_per_s=round(images * reading.requests_per_s),
                    p99_ms=_ms(reading), p99_ms_of_few=_ms(half), errors=dict(reading.errors))  # fmt: skip


def _ms(reading: Reading) -> float:
    return round(reading.percentile_ms(0.99), 2)


def _generate(place: Place, service: Service, engines: int) -> None:
    count = 64 if place.rehearsal else 20_000
    began = time.perf_counter()
    asked = {"count": count, "seed": 0, "format": "npz"}
    answer = httpx.post(f"{service.url}/generate", json=asked, timeout=PATIENCE_S).raise_for_status()
    took_s = time.perf_counter() - began
    made = len(np.load(io.BytesIO(answer.content))["images"])
    place.write(model="the default generator", engines=engines, what="/generate", images_per_s=round(made / took_s))


def _kill(place: Place, service: Service, engines: int) -> None:
    """Kill an engine, and see how long it takes until all is there again."""
    killed = service.of_role("engine")[0]
    service.signal(killed, signal.SIGKILL)
    began = time.perf_counter()
    while killed.pid in {process.pid for process in service.of_role("engine")}:
        time.sleep(0.01)
    service.wait_until_ready()
    body, failures = encode_png(np.zeros((28, 28, 1), np.uint8)), 0
    while httpx.post(f"{service.url}/classify", content=body, headers={"content-type": "image/png"}).status_code != 200:
        failures += 1
    place.write(engines=engines, what="an engine is killed", ready_after_s=round(time.perf_counter() - began, 2),
                refused=failures)  # fmt: skip


def evaluate(place: Place) -> None:
    """Judge 50,000 images with one engine and with two."""
    count = 200 if place.rehearsal else 50_000
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, images=images)
    for engines in (1,) if place.rehearsal else (1, 2):
        with Service(place.out / f"evaluation-{engines}", DEVICES=",".join([place.device] * engines)) as service:
            began = time.perf_counter()
            report = _judged(service.url, packed.getvalue(), place)
            took_s = time.perf_counter() - began
        seconds = {name: round(value, 2) for name, value in report["timing"].items() if value >= 0.01}
        place.write(what=f"evaluation of {count} images", engines=engines, seconds=round(took_s, 2),
                    device=report["features"]["device"], stages=seconds)  # fmt: skip


def _judged(url: str, samples: bytes, place: Place) -> dict[str, Any]:
    """The report of an evaluation, once it is there."""
    files = {"generated": ("samples.npz", samples)}
    data = {"reference_name": "mnist-test", "metrics": "fid,kid"}
    wait = {"Prefer": f"wait={max(10, int(place.left_s))}"}
    answer = httpx.post(f"{url}/evaluate", files=files, data=data, headers=wait, timeout=PATIENCE_S + place.left_s)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found
