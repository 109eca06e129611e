"""Carries out the Dockerfile and docker-compose.yml without a Docker engine, and checks what they promise.

`python -m deploy.native` builds the wheel and the environment in a scratch directory by the Dockerfile's own lines,
starts the service and Prometheus with their containers' commands and environment, asks Prometheus every query of the
dashboard and the alerts, and stops all again. `--print` only shows the build as a shell script. What a container alone
can do, or what is not installed here, it says that it skips.
"""

import argparse
import io
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.dockerfile import Shell, read_dockerfile
from deploy.promql import alert_queries, dashboard_queries

CHECKOUT = Path(__file__).parent.parent
DASHBOARD = CHECKOUT / "deploy/grafana/dashboards/chapterhouse.json"
ALERTS = CHECKOUT / "deploy/prometheus/alerts.yml"
SCRAPES = 4
"""So many samples give every rate its two points."""


class Failed(Exception):
    """The deployment does not keep a promise."""


def say(sign: str, sentence: str) -> None:
    """One line a step: `ok` for a promise kept, `skip` for one that cannot be tried here, `·` for what is done."""
    print(f"{sign:>4}  {sentence}", flush=True)


def seconds(duration: str) -> float:
    """The seconds of `500ms`, `60s` or `2m`."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0}
    number = duration.rstrip("ms")
    return float(number) * units[duration[len(number) :]]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], *, within_s: float, otherwise: str) -> float:
    """Ask twice a second; the seconds it took. Raises Failed when the time is over."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within_s:
            raise Failed(f"{otherwise} within {within_s:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - began


@contextmanager
def running(command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that the shell command has become with `exec`, ended at the latest on leaving."""
    with log.open("wb") as output:
        process = subprocess.Popen(["sh", "-c", command], cwd="/", stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    except (Failed, httpx.HTTPError):
        print(log.read_text("utf-8", "replace")[-4000:])
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def stop(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Send SIGTERM and await a clean end. Raises Failed."""
    process.terminate()
    try:
        status = process.wait(within_s)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{process.pid} did not stop within {within_s:.0f} s") from late
    if status != 0:
        raise Failed(f"{process.pid} ended with {status} after SIGTERM")


class Deployment:
    """The containers' processes on this machine, below one scratch directory."""

    def __init__(self, root: Path, arguments: dict[str, str]) -> None:
        self.root = root
        self.dockerfile = read_dockerfile((CHECKOUT / "Dockerfile").read_text("utf-8"), **arguments)
        self.shell = Shell(self.dockerfile, CHECKOUT, root)
        self.services: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))["services"]
        self.port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    def build(self) -> None:
        """Do what `docker build` does. Raises Failed."""
        for run in self.dockerfile.image.all("RUN"):
            say("skip", f"needs a container: {run.text}")
        python = shlex.quote(str(Path(sys.executable).parent))
        script = f'export PATH={python}:"$PATH"\n{self.shell.build()}'
        if subprocess.run(["sh", "-x", "-c", script], check=False, stdout=sys.stderr).returncode:
            raise Failed("the build failed")
        say("ok", f"built {next((self.root / 'wheels').glob('*.whl')).name} and installed it into an empty environment")

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """The service with its image's command and compose's environment, ready by its own health check."""
        image, service = self.dockerfile.image, self.services["chapterhouse"]
        environment = {
            **service["environment"],
            "CHAPTERHOUSE_HOST": "127.0.0.1",  # a container's every interface is its own; a machine's is not
            "CHAPTERHOUSE_PORT": str(self.port),
        }
        command = shlex.join([*image.last("ENTRYPOINT").words, *image.last("CMD").words])
        health = image.last("HEALTHCHECK")
        question = self.shell.start(environment, health.text.removeprefix("CMD "))
        with running(self.shell.start(environment, f"exec {command}"), self.root / "chapterhouse.log") as process:

            def healthy() -> bool:
                if process.poll() is not None:
                    raise Failed(f"`{command}` ended with {process.returncode}")
                return subprocess.run(["sh", "-c", question], check=False, capture_output=True).returncode == 0

            limit = seconds(health.flags["start-period"])
            took = wait_until(healthy, within_s=limit, otherwise="the service is not healthy")
            say("ok", f"`{command}` is healthy after {took:.0f} s, by the image's health check")
            yield process

    def use(self) -> None:
        """Generate four images and classify them, so that the instruments have something to tell."""
        answer = self.http.post("/generate", json={"count": 4, "seed": 1, "format": "zip"}).raise_for_status()
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            images = [archive.read(name) for name in archive.namelist() if name.endswith(".png")]
        for image in images:
            self.http.post("/classify", content=image, headers={"content-type": "image/png"}).raise_for_status()
        say("ok", f"generated {len(images)} images and classified them")

    @contextmanager
    def prometheus(self) -> Iterator[httpx.Client]:
        """Prometheus with its container's configuration, except for the target's address."""
        service = self.services["prometheus"]
        for mount in (volume for volume in service["volumes"] if volume.startswith("./")):
            source, target, _ = mount.split(":")
            shutil.copytree(CHECKOUT / source, f"{self.root}{target}")
        configuration = self.root / "etc/prometheus/prometheus.yml"
        inside = f"chapterhouse:{self.dockerfile.image.last('EXPOSE').text}"
        text = configuration.read_text("utf-8")
        configuration.write_text(text.replace(inside, f"127.0.0.1:{self.port}"), "utf-8")
        say("·", f"Prometheus scrapes 127.0.0.1:{self.port} for {inside}")
        port = free_port()
        flags = [self.shell.relocate(flag) for flag in service["command"]]
        command = shlex.join(["prometheus", *flags, f"--web.listen-address=127.0.0.1:{port}"])
        address = f"http://127.0.0.1:{port}"
        with (
            running(f"exec {command}", self.root / "prometheus.log") as process,
            httpx.Client(base_url=address, trust_env=False) as client,
        ):
            wait_until(lambda: answers(client, "/-/ready"), within_s=30, otherwise="Prometheus is not ready")
            self.check_health(shlex.join([*service["healthcheck"]["test"][1:], f"--url={address}"]))
            yield client
            stop(process, within_s=30)
            say("ok", "Prometheus stopped")

    def check_health(self, question: str) -> None:
        """Ask what the container's health check asks. Raises Failed."""
        asked = subprocess.run(["sh", "-c", question], check=False, capture_output=True, text=True)
        if "not found" in asked.stderr or "expected command" in asked.stderr:
            say("skip", f"this machine's promtool is missing or too old for `{question}`")
        elif asked.returncode:
            raise Failed(f"`{question}` says: {asked.stderr}")
        else:
            say("ok", f"Prometheus is healthy, by `{question}`")

    def drain(self, process: subprocess.Popen[bytes]) -> None:
        """Stop the service as compose would. Raises Failed unless it turns away work at once, and ends well in time."""
        service = self.services["chapterhouse"]
        delay = float(service["environment"]["CHAPTERHOUSE_DRAIN_DELAY_S"])
        began = time.monotonic()
        process.terminate()
        wait_until(self.refuses, within_s=delay / 2, otherwise="readiness did not turn 503")
        say("ok", "after SIGTERM the service is alive and not ready")
        stop(process, within_s=seconds(service["stop_grace_period"]))
        took = time.monotonic() - began
        if took < delay:
            raise Failed(f"it drained for {took:.1f} s, not {delay:.0f}")
        say("ok", f"it ended with 0 after {took:.0f} s; compose would have waited {service['stop_grace_period']}")

    def refuses(self) -> bool:
        """Whether it still answers, and says that it is not ready."""
        return self.http.get("/health/ready").status_code == httpx.codes.SERVICE_UNAVAILABLE


def answers(client: httpx.Client, path: str) -> bool:
    """Whether there is a 200 at this path."""
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def ask(prometheus: httpx.Client, expression: str) -> list[Any]:
    """The series that an expression has now. Raises Failed where Prometheus cannot run it."""
    answer = prometheus.get("/api/v1/query", params={"query": expression}).json()
    if answer["status"] != "success":
        raise Failed(f"{answer['error']}: {expression}")
    series: list[Any] = answer["data"]["result"]
    return series


def check_queries(prometheus: httpx.Client) -> None:
    """Ask what the dashboard and the alerts ask. Raises Failed."""

    def scraped() -> bool:
        samples = ask(prometheus, 'sum_over_time(up{job="chapterhouse"}[1m])')
        return bool(samples) and float(samples[0]["value"][1]) >= SCRAPES

    wait_until(scraped, within_s=60, otherwise="the service was not scraped")
    say("ok", "Prometheus scrapes the service: up is 1")
    shown = dashboard_queries(DASHBOARD)
    silent = sorted({query.place for query in shown if not ask(prometheus, query.concrete)})
    say("ok", f"{len(shown)} queries of the dashboard run; nothing to show yet: {', '.join(silent) or 'none'}")
    alerts = alert_queries(ALERTS)
    for alert in alerts:
        if ask(prometheus, alert.concrete):
            raise Failed(f"{alert.place} would fire")
    say("ok", f"{len(alerts)} alerts run, and none would fire")


def deploy(deployment: Deployment) -> None:
    """Build, start, check and stop. Raises Failed."""
    deployment.build()
    with deployment.serving() as service:
        deployment.use()
        if shutil.which("prometheus"):
            with deployment.prometheus() as prometheus:
                check_queries(prometheus)
        else:
            say("skip", "Prometheus is not installed: neither its configuration nor any query was tried")
        say("skip", "Grafana: its provisioning and dashboard are read by tests/test_deployment.py")
        deployment.drain(service)


def main() -> int:
    """Carry out the deployment; 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as for docker build")
    parser.add_argument("--print", action="store_true", help="show the build as a shell script, and do nothing")
    options = parser.parse_args()
    arguments = dict(pair.split("=", 1) for pair in options.build_arg)
    with tempfile.TemporaryDirectory(prefix="chapterhouse-native-") as scratch:
        deployment = Deployment(Path(scratch), arguments)
        if options.print:
            print(deployment.shell.build(), end="")
            return 0
        try:
            deploy(deployment)
        except (Failed, httpx.HTTPError) as failure:
            say("FAIL", str(failure))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
