"""A model whose forward pass never ends takes one engine once: then it gets no work for a while."""

import threading
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from processes.supervising import supervised
from prometheus_client import CollectorRegistry
from safetensors.torch import save_file
from serving import Service, add_untrained
from waiting import PATIENCE_S, eventually, until

from service.imaging import encode_png
from service.processes.setting_aside import LONGEST_S, SettingAside
from service.runtime.aside import Aside
from service.runtime.calls import LoadedModel
from service.runtime.pool import EnginePool
from service.telemetry.conditions import Conditions
from service.telemetry.tally import Tally

NET = """
import torch
from torch import Tensor, nn


class Endless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def features(self, x: Tensor) -> Tensor:
        while (x == 1).any():
            pass
        return x[:, 0, 0, :2]

    def head(self, features: Tensor) -> Tensor:
        return features * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
"""
MANIFEST = """
net = "python:endless.Endless"
task = "classify"
chapter = 0
paper = "none"
summary = "Never ends on white."
dataset = "none"
labels = ["a", "b"]
[input]
size = [28, 28]
channels = 1
mean = [0.0]
std = [1.0]
[serving]
max_batch = 4
block = 4
"""
PNG = {"content-type": "image/png"}


class Telling(EnginePool):
    """Engines that hold `echo` in a version, and note what they are told."""

    def __init__(self) -> None:
        super().__init__([])
        self.version = "1"
        self.told: list[Aside] = []

    def models(self, among: object = None) -> Mapping[str, LoadedModel]:  # noqa: ARG002 - as pools are
        return {"echo": LoadedModel(self.version, "ready", "cpu")}

    async def set_aside(self, aside: Aside) -> None:
        self.told.append(aside)


class Clock:
    """The time as a test says it is."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Held:
    """What is set aside, by a clock of its own."""

    def __init__(self, first_s: float = 60.0) -> None:
        self.clock, self.pool, self.registry = Clock(), Telling(), CollectorRegistry()
        self.aside = SettingAside(first_s, self.pool, Conditions(self.registry, Tally()), self.clock)

    def gauge(self) -> float | None:
        return self.registry.get_sample_value("chapterhouse_model_set_aside", {"model": "echo"})


async def test_a_model_is_set_aside_twice_as_long_each_time_and_no_longer_than_a_day() -> None:
    held = Held()
    for seconds in (60, 120, 240):
        for _ in range(2):  # two engines were given it at once
            await held.aside.note("echo")
        assert (held.pool.told[-1], held.gauge()) == (Aside("echo", "1", seconds), 1)
        held.clock.now += seconds
        assert held.aside.over() == ["echo"]
        assert (held.aside.over(), list(held.aside), held.gauge()) == ([], [], 0)
    for _ in range(20):
        await held.aside.note("echo")
        held.clock.now += LONGEST_S
    assert held.pool.told[-1].seconds == LONGEST_S


async def test_an_engine_that_begins_hears_how_long_is_left() -> None:
    held = Held()
    await held.aside.note("echo")
    held.clock.now += 20
    assert list(held.aside) == [Aside("echo", "1", 40.0)]


async def test_another_version_has_a_new_beginning_and_who_loads_a_model_may_try_it_at_once() -> None:
    held = Held()
    await held.aside.note("echo")
    held.pool.version = "2"
    await held.aside.note("echo")
    assert held.pool.told[-1] == Aside("echo", "2", 60.0)
    await held.aside.lift("echo")
    await held.aside.lift("echo")
    assert (held.pool.told[2:], list(held.aside), held.gauge()) == ([Aside("echo", "", 0.0)], [], 0)


@pytest.mark.parametrize(("first_s", "model_id"), [(0.0, "echo"), (60.0, "")])
async def test_without_seconds_or_a_model_nothing_is_set_aside(first_s: float, model_id: str) -> None:
    held = Held(first_s)
    await held.aside.note(model_id)
    assert (held.pool.told, list(held.aside)) == ([], [])


async def test_the_next_engine_is_told_what_the_last_one_hung_in(
    tmp_path: Path, models_dir: Path, sockets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"beat_s": 0.1, "beat_limit_s": 20.0, "forward_limit_s": 0.5, "set_aside_s": 3600}
    async with supervised(tmp_path, models_dir, sockets, devices="cpu", **limits) as service:
        await eventually(lambda: service.has_beaten("cpu"))
        service.wish("cpu", "stuck")
        await eventually(lambda: "echo is set aside for 3600 s: an engine hung in it" in caplog.text)
        service.wish("cpu", "beat")
        await eventually(lambda: service.sample("process_restarts_total", role="engine"))
        assert service.sample("model_set_aside", model="echo") == 1
        await eventually(lambda: service.is_told_aside("cpu").startswith('[["echo","",'))


def late(reply: httpx.Response) -> bool:
    """Whether no engine was there in time: on a busy machine the next one may take longer than anybody waits."""
    return reply.status_code == 503 and reply.json()["title"] == "No engine is available"


@pytest.mark.slow
def test_a_forward_pass_that_never_ends_takes_one_engine_once_and_nobody_elses_answer(tmp_path: Path) -> None:
    nets, store = tmp_path / "nets", tmp_path / "models_store"
    add_untrained(store)
    nets.mkdir()
    (nets / "endless.py").write_text(NET)
    (store / "endless").mkdir()
    (store / "endless" / "model.toml").write_text(MANIFEST)
    save_file({"scale": torch.tensor(1.0)}, store / "endless" / "weights.safetensors")
    white, black = (encode_png(np.full((28, 28, 1), shade, np.uint8)) for shade in (255, 0))
    limits = {"BEAT_S": 0.25, "BEAT_LIMIT_S": 60.0, "FORWARD_LIMIT_S": 3.0, "SET_ASIDE_S": 3600, "PRELOAD": "endless"}
    with Service(tmp_path, NETS_DIR=nets, **limits) as service:
        service.wait_until_ready()

        def ask(model: str, picture: bytes) -> httpx.Response:
            url = f"{service.url}/classify?model={model}&as_is=true"
            return httpx.post(url, content=picture, headers=PNG, timeout=PATIENCE_S)

        def metrics() -> str:
            return httpx.get(f"{service.url}/metrics", timeout=PATIENCE_S).text

        assert ask("endless", black).status_code == 200
        hung: list[httpx.Response] = []
        hanging = threading.Thread(target=lambda: hung.append(ask("endless", white)), daemon=True)
        hanging.start()
        until(lambda: hung or "chapterhouse_open_requests 1.0" in metrics())
        other = ask("lenet5-none", black)
        hanging.join(PATIENCE_S)
        assert other.status_code == 200 or late(other), "what waited behind it is done by the next engine"
        [refused] = hung
        assert refused.status_code == 503
        assert refused.json()["title"] == "The model is set aside" or late(refused)
        service.wait_until_ready()
        again = ask("endless", white)
        assert (again.status_code, again.json()["title"]) == (503, "The model is set aside")
        assert 0 < int(again.headers["retry-after"]) <= 3600
        assert ask("lenet5-none", black).status_code == 200
        assert service.log.count("hangs: classify of endless has not ended") == 1
        ready = httpx.get(f"{service.url}/health/ready", timeout=PATIENCE_S).json()
        assert ready["impaired"] == ["endless is set aside: an engine hung in it"]
        assert 'chapterhouse_model_set_aside{model="endless"} 1.0' in metrics()
        load = f"{service.url}/models/endless/load"
        assert httpx.post(load, headers=service.bearing, timeout=PATIENCE_S).status_code == 204
        assert ask("endless", black).status_code == 200
