"""The service under load, watched by a real Prometheus: what every panel of the dashboard is answered, and its picture.

python -m deploy.observed            # asks every panel's query, and says which have no data
python -m deploy.observed --write    # and draws docs/dashboard.svg
"""

import argparse
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np

from deploy.native import CHECKOUT, DASHBOARD, Failed, answers, ask, free_port, running, say, stop, wait_until
from deploy.panels import Series, draw, series_of
from deploy.promql import Query, dashboard_panels
from service.imaging import encode_png

PICTURE = CHECKOUT / "docs/dashboard.svg"
SCRAPE_S = 1
WATCHED_S = 45.0
"""So long the load goes on: rates over a minute have their points, and evaluations their ends."""
CLIENTS = 4


class Load:
    """Clients of every kind, each in a thread of its own, until told to stop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._classify, args=(seed,), daemon=True) for seed in range(CLIENTS)]
        self._threads += [threading.Thread(target=work, daemon=True) for work in (self._others, self._evaluate)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _clients(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=60, trust_env=False)

    def _classify(self, seed: int) -> None:
        pixels = np.random.default_rng(seed).integers(0, 256, (28, 28, 1), dtype=np.uint8)
        with self._clients() as client:
            while not self._over.wait(0.01):
                client.post("/classify?as_is=true", content=encode_png(pixels), headers={"content-type": "image/png"})

    def _others(self) -> None:
        history = [float(value) for value in np.sin(np.arange(200) / 5)]
        with self._clients() as client:
            while not self._over.wait(0.2):
                client.post("/generate", json={"count": 16, "seed": 1, "format": "npz"})
                client.post("/forecast", json={"history": history, "horizon": 10})
                client.post("/classify", content=b"no image", headers={"content-type": "image/png"})
                client.delete("/models/none")
                with suppress(httpx.TimeoutException):  # it hangs up
                    client.post("/generate", json={"count": 4096, "seed": 2, "format": "npz"}, timeout=0.1)

    def _evaluate(self) -> None:
        draw = np.random.default_rng(0)
        with self._clients() as client:
            while not self._over.wait(0.5):
                sets = {}
                for name in ("generated", "reference"):
                    file = io.BytesIO()
                    np.save(file, draw.integers(0, 256, (64, 28, 28, 1), dtype=np.uint8))
                    file.seek(0)
                    sets[name] = (f"{name}.npy", file.read())
                client.post("/evaluate", files=sets, data={"metrics": "fid,kid", "thresholds": "fid<=1"})


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[httpx.Client]:
    """Prometheus with our rules, which scrapes one service every second."""
    rules = CHECKOUT / "deploy/prometheus/alerts.yml"
    configuration = folder / "prometheus.yml"
    configuration.write_text(
        f"global: {{scrape_interval: {SCRAPE_S}s, evaluation_interval: {SCRAPE_S}s}}\nrule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: chapterhouse, static_configs: [{{targets: ['{target}']}}]}}]\n",
        "utf-8",
    )
    port = free_port()
    flags = f"--config.file={configuration} --storage.tsdb.path={folder / 'data'}"
    command = f"exec prometheus {flags} --web.listen-address=127.0.0.1:{port}"
    with (
        running(command, folder / "prometheus.log") as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client,
    ):
        wait_until(lambda: answers(client, "/-/ready"), within_s=60, otherwise="Prometheus is not ready")
        yield client
        stop(process, within_s=30)


def ask_range(client: httpx.Client, query: Query, seconds: float) -> list[dict[str, Any]]:
    """The series of an expression over the last so many seconds."""
    now = time.time()
    span = {"start": now - seconds, "end": now, "step": SCRAPE_S}
    answer = client.get("/api/v1/query_range", params={"query": query.concrete, **span}).json()
    if answer["status"] != "success":
        raise Failed(f"{answer['error']}: {query.expression}")
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def observe(url: str, folder: Path, seconds: float = WATCHED_S) -> dict[str, list[Series]]:
    """Put load on a service that is ready, and ask every panel what it shows; the series by the panel's title."""
    shown: dict[str, list[Series]] = {}
    with prometheus(url.removeprefix("http://"), folder) as client, Load(url):
        time.sleep(seconds)
        wait_until(
            lambda: bool(ask(client, 'chapterhouse_evaluation_score{recent="01"}')),
            within_s=120,
            otherwise="no evaluation finished",
        )
        time.sleep(2 * SCRAPE_S)
        for query, legend in dashboard_panels(DASHBOARD):
            found = series_of(legend, ask_range(client, query, seconds))
            shown.setdefault(query.place, []).extend(found)
    return shown


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A service of this checkout with a state directory of its own, once it is ready."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"CHAPTERHOUSE_PORT": str(port), "CHAPTERHOUSE_STATE_DIR": str(folder / "state")}
    given = " ".join(f"{name}={value}" for name, value in settings.items())
    command = f"exec env PYTHONPATH={os.fspath(CHECKOUT)} {given} {sys.executable} -m service serve"
    with running(command, folder / "service.log") as process, httpx.Client(base_url=url, trust_env=False) as client:
        wait_until(lambda: answers(client, "/health/ready"), within_s=180, otherwise="the service is not ready")
        yield url
        stop(process, within_s=60)


def main() -> int:
    """Ask, and draw; 1 where a panel has no data."""
    parser = argparse.ArgumentParser(prog="python -m deploy.observed")
    parser.add_argument("--write", action="store_true", help="draw docs/dashboard.svg")
    write = parser.parse_args().write
    if shutil.which("prometheus") is None:
        say("FAIL", "Prometheus is not installed: apt-get install prometheus")
        return 1
    with tempfile.TemporaryDirectory(prefix="chapterhouse-observed-") as scratch:
        try:
            with serving(Path(scratch)) as url:
                shown = observe(url, Path(scratch))
        except (Failed, httpx.HTTPError) as failure:
            say("FAIL", str(failure))
            return 1
    silent = sorted(title for title, series in shown.items() if not series)
    if silent:
        say("FAIL", f"panels without data: {', '.join(silent)}")
        return 1
    say("ok", f"{len(shown)} panels of the dashboard have data")
    if write:
        PICTURE.write_text(draw(DASHBOARD, shown), "utf-8")
        say("ok", f"drew {PICTURE.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
