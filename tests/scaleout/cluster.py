"""A cluster of Ray in processes of this machine, with the service on it and a key for whoever tests it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from waiting import PATIENCE_S, until

from benchmarks.load.machine import free_port
from service.evaluation.queue.database import Database
from service.evaluation.queue.keys import Keys, KeyScope
from service.evaluation.queue.migrations import migrate

TESTS = Path(__file__).parent.parent
STORE_BYTES = 100_000_000
PATIENT = {"prefer": f"wait={PATIENCE_S:.0f}"}


@dataclass
class Cluster:
    """Where it answers, and who may ask."""

    url: str
    key: str
    folder: Path

    @property
    def bearing(self) -> dict[str, str]:
        """The headers with which everything is allowed."""
        return {"authorization": f"Bearer {self.key}"}

    def client(self) -> httpx.AsyncClient:
        """A client that may do everything."""
        headers = {**PATIENT, **self.bearing}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_S)

    def get(self, path: str) -> httpx.Response:
        """One question."""
        return httpx.get(f"{self.url}{path}", headers=self.bearing, timeout=PATIENCE_S)

    def replicas(self, deployment: str) -> list[Any]:
        """The actors of a deployment that live."""
        import ray
        from ray.util.state import list_actors

        named = list_actors(filters=[("state", "=", "ALIVE")], limit=1000)
        found = [actor for actor in named if f"#{deployment}#" in (actor.name or "")]
        return [ray.get_actor(actor.name, namespace="serve") for actor in found]


def register() -> None:
    """Put the doubles into the registry of whichever process of the cluster this is."""
    from doubles import DOUBLES

    from service.nets.registry import NETS

    NETS.update(DOUBLES)


@contextmanager
def running_cluster(folder: Path, *, fronts: int, engines: int, **settings: str) -> Iterator[Cluster]:
    """A cluster until the context ends, once it is ready."""
    import ray
    from ray import serve

    from service.scaleout import Options, build

    state = folder / "state"
    state.mkdir()
    database = Database(sa.URL.create("sqlite", database=str(state / "chapterhouse.db")))
    migrate(database)
    key = Keys(database).create("tests", list(KeyScope))
    database.close()
    port = free_port()
    given = {
        "HOST": "0.0.0.0",
        "MODELS_DIR": str(folder / "models_store"),
        "STATE_DIR": str(state),
        "DEFAULT_CLASSIFIER": "echo",
        "DEFAULT_GENERATOR": "doodle",
        "DEFAULT_FORECASTER": "murmur",
        "THREADS": "1",
        "FORM": "plain",
        **settings,
    }
    variables = {f"CHAPTERHOUSE_{name}": value for name, value in given.items()}
    variables["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path])
    with tempfile.TemporaryDirectory(prefix="ray-") as short:
        ray.init(
            num_cpus=16,
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            object_store_memory=STORE_BYTES,
            log_to_driver=False,
            _temp_dir=short,
            runtime_env={"env_vars": variables, "worker_process_setup_hook": register},
        )
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            application = build(Options(fronts=fronts, engines=engines, cpus_per_engine=1))
            serve.run(application, name="chapterhouse", route_prefix="/")
            cluster = Cluster(f"http://127.0.0.1:{port}", key, folder)
            until(lambda: cluster.get("/health/ready").status_code == 200)
            yield cluster
        finally:
            serve.shutdown()
            ray.shutdown()
