import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from waiting import PATIENCE_S, until

CHECKOUT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.wheel, pytest.mark.timeout(1200)]  # it installs all that a service needs


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds nothing but the wheel and what it asks for."""
    root = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(root), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = root.glob("chapterhouse-*.whl")
    venv.create(root / "empty", with_pip=True)
    commands = root / "empty" / ("Scripts" if os.name == "nt" else "bin")
    quietly = ["--quiet", "--no-compile"]  # most is never imported
    install: list[str | Path] = [commands / "python", "-m", "pip", "install", *quietly, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return commands


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory without a checkout, where nothing has been kept yet."""
    monkeypatch.setenv("CHAPTERHOUSE_STATE_DIR", str(tmp_path / "state"))
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):  # what the first program compiles is there for the next one
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_the_wheel_carries_the_models(commands: Path, elsewhere: Path) -> None:
    listed = subprocess.run(
        [commands / "chapterhouse", "models", "list", "--json"], cwd=elsewhere, check=True, capture_output=True
    )
    shipped = {path.parent.name for path in (CHECKOUT / "models_store").glob("*/card.json")}
    assert {model["id"] for model in json.loads(listed.stdout)["models"]} == shipped


def test_programs_import_the_public_names_from_the_wheel(commands: Path, elsewhere: Path) -> None:
    shutil.copy(CHECKOUT / "tests" / "data" / "seven.png", elsewhere)
    program = """
import sys
from importlib.resources import files
import chapterhouse
assert "torch" not in sys.modules
assert all((files(package) / "py.typed").is_file() for package in ("chapterhouse", "service"))
names = [getattr(chapterhouse, name) for name in chapterhouse.__all__]
with chapterhouse.Local() as local, chapterhouse.Evaluation("mnist-test", ["fid"], local=local) as evaluation:
    evaluation.update(local.generate("gan-mnist", count=100, seed=0).samples)
    print(local.classify("seven.png", top_k=1).predictions[0].labels[0].label, evaluation.compute().fid > 0)
"""
    ran = subprocess.run(
        [commands / "python", "-c", program], cwd=elsewhere, check=True, capture_output=True, text=True
    )
    assert ran.stdout == "7 True\n"


def test_the_wheel_serves_in_a_directory_without_a_checkout(commands: Path, elsewhere: Path) -> None:
    shutil.copy(CHECKOUT / "tests" / "data" / "seven.png", elsewhere)
    log = elsewhere / "service.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [commands / "chapterhouse", "serve", "--port", "0"], cwd=elsewhere, stdout=stream, stderr=stream
        )
    try:
        until(lambda: "serving on " in log.read_text() or server.poll() is not None)
        url = log.read_text().partition("serving on ")[2].split()[0]
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            until(lambda: is_ready(client) or server.poll() is not None)
            image = (elsewhere / "seven.png").read_bytes()
            reply = client.post("/classify", content=image, headers={"content-type": "image/png"})
            assert reply.json()["predictions"][0]["labels"][0]["label"] == "7"
    finally:
        server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE_S) == 0, log.read_text()


def is_ready(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/health/ready").status_code == 200
    return False
