import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import httpx
import pytest

CHECKOUT = Path(__file__).parent.parent
ENDS_S = 60

pytestmark = [pytest.mark.slow, pytest.mark.wheel]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds nothing but the wheel and what it asks for."""
    root = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(root), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = root.glob("chapterhouse-*.whl")
    venv.create(root / "empty", with_pip=True)
    commands = root / "empty" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([commands / "python", "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True)
    return commands


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a checkout, where nothing has been kept yet."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_wheel_carries_the_models(commands: Path, elsewhere: Path) -> None:
    listed = subprocess.run(
        [commands / "chapterhouse", "models", "list", "--json"], cwd=elsewhere, check=True, capture_output=True
    )
    shipped = {path.parent.name for path in (CHECKOUT / "models_store").glob("*/card.json")}
    assert {model["id"] for model in json.loads(listed.stdout)["models"]} == shipped


def test_the_wheel_serves_in_a_directory_without_a_checkout(commands: Path, elsewhere: Path) -> None:
    shutil.copy(CHECKOUT / "tests" / "data" / "seven.png", elsewhere)
    url = f"http://127.0.0.1:{(port := free_port())}"
    server = subprocess.Popen([commands / "chapterhouse", "serve", "--port", str(port)], cwd=elsewhere)
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            until_ready(client, server)
            image = (elsewhere / "seven.png").read_bytes()
            reply = client.post("/classify", content=image, headers={"content-type": "image/png"})
            assert reply.json()["predictions"][0]["labels"][0]["label"] == "7"
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(ENDS_S) == 0


def until_ready(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the service ended with {server.returncode}")
