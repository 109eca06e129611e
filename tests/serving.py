"""A whole service as an operator starts it: `python -m service serve`, its processes, its log, its deaths."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest
from doubles import add_forecaster, add_model
from waiting import PATIENCE_S, until

from service.nets.registry import build_net
from service.settings import Settings
from service.store import Model

SERVING = re.compile(r"serving on (http://[\w.:\[\]]+)[\"\n]")
LENET5 = """
net = "lenet5"
task = "classify"
chapter = 4
paper = "none"
summary = "Untrained."
dataset = "none"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
[input]
size = [28, 28]
channels = 1
mean = [0.1307]
std = [0.3081]
pad = 2
[serving]
max_batch = 16
block = 16
"""

DCGAN = """
net = "dcgan32-generator"
task = "generate"
chapter = 7
paper = "none"
summary = "Untrained."
dataset = "none"
options = { latent = 16, width = 4, channels = 1 }
[output]
size = [28, 28]
channels = 1
latent = 16
crop = 2
[serving]
block = 16
"""


def add_untrained(layer: Path) -> None:
    """Write `lenet5-none`, `lenet5-other`, `dcgan-none` and the forecaster `murmur` into a layer of a store."""
    add_model(layer, "lenet5-none", build_net("lenet5"), LENET5)
    add_model(layer, "lenet5-other", build_net("lenet5"), LENET5)
    add_model(layer, "dcgan-none", build_net("dcgan32-generator", {"latent": 16, "width": 4, "channels": 1}), DCGAN)
    add_forecaster(layer)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Service:
    """One service over a folder of its own. Settings are given as they stand in the environment, without the prefix."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.log_file = folder / "service.log"
        self.models_dir = folder / "models_store"
        given = {
            "MODELS_DIR": folder / "models_store",
            "STATE_DIR": folder / "state",
            "DEFAULT_CLASSIFIER": "lenet5-none",
            "DEFAULT_GENERATOR": "dcgan-none",
            "DEFAULT_FORECASTER": "murmur",
            "PORT": 0,
            "FRONTS": 1,
            "EVALUATORS": 1,
            "THREADS": 1,
            "DEVICES": "cpu",
            **settings,
        }
        if not (folder / "models_store").exists():
            add_untrained(folder / "models_store")
        with pytest.MonkeyPatch.context() as environment, self.log_file.open("wb") as log:
            for name, value in given.items():
                environment.setenv(f"CHAPTERHOUSE_{name}", str(value))
            # A group of its own, which a test can signal as a terminal does.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "serve"], stdout=log, stderr=log, process_group=0
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text("utf-8")

    @property
    def url(self) -> str:
        """Where it says that it serves."""
        until(lambda: SERVING.search(self.log) or self.process.poll() is not None)
        found = SERVING.search(self.log)
        assert found, self.log
        return found[1]

    @property
    def bearing(self) -> dict[str, str]:
        """The headers with which its own user changes what it holds."""
        token = Settings(state_dir=self.log_file.parent / "state").token_file(httpx.URL(self.url).port or 0)
        return {"authorization": f"Bearer {token.read_text('utf-8')}"}

    def version(self, model_id: str) -> str:
        """The version of one of its models."""
        return Model(self.models_dir / model_id).version

    def get(self, path: str) -> httpx.Response | None:
        """One question over a connection of its own; None where nobody answers."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}{path}", timeout=PATIENCE_S)
        return None

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        assert self.process.poll() is None, self.log
        reply = self.get("/health/ready")
        return reply is not None and reply.status_code == 200

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready."""
        until(self.is_ready)

    def children(self, role: str) -> list[int]:
        """The processes of a role that run now."""
        return [pid for pid, words in self._family() if role in words and is_alive(pid)]

    def _family(self) -> Iterator[tuple[int, list[str]]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    yield int(folder.name), (folder / "cmdline").read_bytes().decode().split("\0")[3:4]

    def kill(self, role: str) -> int:
        """Kill a child of this role as the kernel would, and wait until it is gone; its pid."""
        pid = self.children(role)[0]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        return pid

    def wait_until_replaced(self, role: str, pid: int, count: int = 1) -> None:
        """Wait until so many children of this role run, none of them `pid`."""
        until(lambda: len(self.children(role)) == count and pid not in self.children(role))

    def exit_status(self) -> int:
        """The exit status, once it has ended."""
        return self.process.wait(PATIENCE_S)
