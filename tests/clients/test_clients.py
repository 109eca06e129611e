"""Clients of others, each in an environment of its own, ask a whole service: `make clients` installs them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Service
from waiting import until

from benchmarks.load.machine import free_port

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENTS = ROOT / ".clients"
HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "v2.md").read_text("utf-8")
BLOCKS = re.findall(r'^```python env="(\w+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "triton_http": "triton",
    "triton_grpc": "triton",
    "kserve_rest": "kserve",
    "kserve_grpc": "kserve",
    "mlserver_infer": "mlserver",
}
"""Each with the environment that it needs."""
SHIPPED = {
    "MODELS_DIR": ROOT / "models_store",
    "DEFAULT_CLASSIFIER": "lenet5-mnist",
    "DEFAULT_GENERATOR": "gan-mnist",
    "DEFAULT_FORECASTER": "esn-mackey-glass",
}

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A service with all that is shipped, over HTTP and gRPC."""
    port = free_port()
    with Service(tmp_path_factory.mktemp("service"), **SHIPPED, GRPC_PORT=port) as running:
        running.wait_until_ready()
        until(lambda: "serving gRPC" in running.log)
        token = running.bearing["authorization"].removeprefix("Bearer ")
        yield {"SERVER": running.url, "GRPC": f"127.0.0.1:{port}", "TOKEN": token}


def python_of(environment: str) -> str:
    """The interpreter of an environment. Fails where there is none."""
    if environment == "plain":
        return sys.executable
    python = ENVIRONMENTS / environment / "bin" / "python"
    assert python.exists(), f"there is no {python}: `make clients` installs it"
    return str(python)


def run(environment: str, source: str, service: dict[str, str], folder: Path) -> str:
    """What a program prints that knows the service's addresses."""
    known = "".join(f"{name} = {value!r}\n" for name, value in service.items())
    (folder / "program.py").write_text(known + source, "utf-8")
    shutil.copy(ROOT / "tests" / "data" / "seven.png", folder / "seven.png")
    done = subprocess.run(
        [python_of(environment), "program.py"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("environment", "source"), BLOCKS, ids=[f"{place}-{env}" for place, (env, _) in enumerate(BLOCKS)]
)
def test_every_example_of_the_page_runs(service: dict[str, str], tmp_path: Path, environment: str, source: str) -> None:
    assert run(environment, source, service, tmp_path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_client_finds_what_it_knows(service: dict[str, str], tmp_path: Path, program: str) -> None:
    described = str(ROOT / "service" / "rpc" / "inference.json")
    source = (HERE / f"{program}.py").read_text("utf-8")
    assert run(PROGRAMS[program], source, {**service, "DESCRIBED": described}, tmp_path).endswith(
        "all as it should be\n"
    )


def document_in(folder: Path, service: dict[str, str]) -> Path:
    """The service's OpenAPI document, as a file."""
    document: dict[str, Any] = httpx.get(f"{service['SERVER']}/openapi.json").json()
    path = folder / "openapi.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_a_typed_client_of_python_is_generated_without_a_warning(service: dict[str, str], tmp_path: Path) -> None:
    document = document_in(tmp_path, service)
    configured = ["--config", str(ROOT / "docs" / "openapi-python-client.yml"), "--fail-on-warning"]
    command = [python_of("openapi"), "-m", "openapi_python_client", "generate", "--path", str(document), *configured]
    done = subprocess.run(
        [*command, "--output-path", str(tmp_path / "client"), "--meta", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout + done.stderr)
    assert done.returncode == 0
    assert "arning" not in done.stdout + done.stderr


def test_a_typed_client_of_typescript_is_generated_without_a_warning(service: dict[str, str], tmp_path: Path) -> None:
    program = ENVIRONMENTS / "typescript" / "node_modules" / ".bin" / "openapi-typescript"
    assert program.exists(), f"there is no {program}: `make clients` installs it"
    command = [str(program), str(document_in(tmp_path, service)), "--output", str(tmp_path / "client.d.ts")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    assert done.returncode == 0
    assert "arning" not in done.stdout + done.stderr
    assert "/v2/models/{model_name}/infer" in (tmp_path / "client.d.ts").read_text("utf-8")
