"""From one engine to eight, from one service to four, and engines of a Ray cluster, all with a net that only sleeps.

    python -m benchmarks.scaling [--seconds 8] [--rate 200] [--write]
    .venv/peers/ray/bin/python -m benchmarks.scaling --ray [--seconds 8] [--rate 10] [--write]

A closed loop of as many clients as keep the batches of every engine full, after two seconds to warm up. The service on
Ray is measured both ways: through Ray's proxy, and through fronts of our own that know the cluster as their device.
Its engines are slower (`--rate` is what one classifies a second), for Ray's own way to them takes so much of a core
for each request that four fast ones on one machine would show that alone. Each of its six rows starts and ends a
cluster, a minute or more on two cores.
`--write` puts the figures into docs/scaling.json and has `experiments.scaling` write the page.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from asyncio import gather
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load.hostile import small_image
from benchmarks.load.machine import free_port, machine
from benchmarks.load.service import ROOT, Service
from benchmarks.load.sleeping import NAME, PER_SECOND, add_sleeper
from benchmarks.load.wire import Address, Line, request, run
from service.settings import Settings

MEASURED = ROOT / "docs" / "scaling.json"
ASKED = request("POST", f"/classify?model={NAME}", small_image(), media="image/png")
PROGRAM = (sys.executable, "-m", "benchmarks.load.sleeping", "serve")
CLIENTS_PER_ENGINE = 12
ENGINES, PODS, ON_RAY = (1, 2, 4, 8), (1, 2, 4), (1, 2, 4)
RATE_ON_RAY = 10.0
WARM_S = 2.0
PATIENCE_S = 300.0

Row = tuple[str, int, float, float]


async def rate(addresses: Sequence[Address], clients: int, seconds: float) -> float:
    """Images a second that are answered with 200; clients take the addresses in turn."""
    begins = time.monotonic() + WARM_S
    ends = begins + seconds
    answered = 0

    async def ask(address: Address) -> None:
        nonlocal answered
        line = Line(address)
        while time.monotonic() < ends:
            reply = await line.ask(ASKED)
            answered += reply.status == 200 and begins <= time.monotonic() < ends
        line.close()

    await gather(*(ask(address) for address, _ in zip(itertools.cycle(addresses), range(clients), strict=False)))
    return answered / seconds


def settings_of(models: Path, devices: str) -> dict[str, Any]:
    """What a service is told."""
    return {
        "MODELS_DIR": models,
        "DEFAULT_CLASSIFIER": NAME,
        "PRELOAD": NAME,
        "DEVICES": devices,
        "FRONTS": 1,
        "EVALUATORS": 1,
        "THREADS": 1,
        "FORM": "plain",
    }


def measure(models: Path, engines: int, pods: int, seconds: float, *, devices: str = "") -> float:
    """Images a second of so many services with so many engines each."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        told = settings_of(models, devices or ",".join(["cpu"] * engines))
        services = [Service(Path(folder) / str(pod), source=ROOT, program=PROGRAM, **told) for pod in range(pods)]
        addresses = [running.enter_context(service).address for service in services]
        return run(rate(addresses, CLIENTS_PER_ENGINE * engines * pods, seconds))


def register() -> None:
    """Have a process of the cluster know the net."""
    from benchmarks.load.sleeping import NAME, Sleeper
    from service.nets.registry import NETS

    NETS[NAME] = Sleeper


@contextmanager
def on_ray(models: Path, engines: int, fronts: int) -> Iterator[Address]:
    """A cluster of Ray on this machine with so many engines; where its proxy answers."""
    import ray
    from ray import serve

    from service.scaleout import Options, build

    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        told = {**settings_of(models, "cpu"), "HOST": "0.0.0.0", "STATE_DIR": f"{folder}/state"}
        variables = {f"CHAPTERHOUSE_{name}": str(given) for name, given in told.items()}
        environment = {"env_vars": {**variables, "PYTHONPATH": str(ROOT)}, "worker_process_setup_hook": register}
        Path(told["STATE_DIR"]).mkdir()
        ray.init(
            num_cpus=32,
            include_dashboard=False,
            object_store_memory=100_000_000,
            log_to_driver=False,
            _temp_dir=folder,
            runtime_env=environment,
        )
        try:
            address = "127.0.0.1", free_port()
            serve.start(http_options=dict(zip(("host", "port"), address, strict=True)))
            serve.run(build(Options(fronts=fronts, engines=engines)), name="chapterhouse", route_prefix="/")
            yield address
        finally:
            serve.shutdown()
            ray.shutdown()


def through_proxy(models: Path, engines: int, seconds: float) -> float:
    """Images a second through Ray's proxy and a front behind it."""
    with on_ray(models, engines, 1) as address:
        _wait_until_ready(address)
        return run(rate([address], CLIENTS_PER_ENGINE * engines, seconds))


def through_own_fronts(models: Path, engines: int, seconds: float) -> float:
    """Images a second through a front of our own, with the cluster as its device."""
    with on_ray(models, engines, 0):
        import ray

        os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
        try:
            return measure(models, engines, 1, seconds, devices="ray")
        finally:
            del os.environ["RAY_ADDRESS"]


def _wait_until_ready(address: Address) -> None:
    until = time.monotonic() + PATIENCE_S
    while httpx.get(f"http://{address[0]}:{address[1]}/health/ready", timeout=10).status_code != 200:
        assert time.monotonic() < until, "the cluster is not ready"
        time.sleep(0.1)


def times_one(what: str, counts: Sequence[int], measured: Callable[[int], float]) -> Iterator[Row]:
    """The rate of each count, and how many times that of the first it is."""
    first = 0.0
    for count in counts:
        found = measured(count)
        first = first or found
        print(f"{what}, {count}: {found:.1f} images/s, {found / first:.2f} times one", flush=True)
        yield what, count, found, found / first


def rows(models: Path, seconds: float, *, ray: bool) -> Iterator[Row]:
    """Every figure."""
    if ray:
        yield from times_one("engines of Ray behind its proxy", ON_RAY, lambda n: through_proxy(models, n, seconds))
        yield from times_one(
            "engines of Ray behind our front", ON_RAY, lambda n: through_own_fronts(models, n, seconds)
        )
    else:
        yield from times_one("engines of one service", ENGINES, lambda n: measure(models, n, 1, seconds))
        yield from times_one("pods of one engine", PODS, lambda n: measure(models, 1, n, seconds))


def written(before: dict[str, Any], found: Sequence[Row]) -> dict[str, Any]:
    """What was measured before with these rows in the place of those of the same name."""
    names = {row[0] for row in found}
    kept = [row for row in before.get("rows", ()) if row[0] not in names]
    return {"machine": machine(), "rows": [*kept, *found]}


def main() -> None:
    """Measure, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--ray", action="store_true", help="engines of a Ray cluster")
    parser.add_argument("--rate", type=float, help="images that an engine classifies a second")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/scaling.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models_store"
        _copy_defaults(models)
        add_sleeper(models, per_second=options.rate or (RATE_ON_RAY if options.ray else PER_SECOND))
        found = list(rows(models, options.seconds, ray=options.ray))
    if options.write:
        before = json.loads(MEASURED.read_text("utf-8"))
        MEASURED.write_text(json.dumps(written(before, found), indent=1) + "\n", "utf-8")
        subprocess.run([sys.executable, "-m", "experiments.scaling"], check=True, cwd=ROOT)


def _copy_defaults(models: Path) -> None:
    """The other models without which a service is not ready, as they lie in the store."""
    settings = Settings()
    models.mkdir(parents=True)
    for model_id in (settings.default_generator, settings.default_forecaster):
        (models / model_id).symlink_to(settings.shipped_models_dir / model_id)


if __name__ == "__main__":
    main()
