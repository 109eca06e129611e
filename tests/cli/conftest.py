from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from running import running_service
from training.conftest import write_idx
from typer.testing import CliRunner, Result

from service.cli import app
from service.datasets.registry import DATASETS
from service.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def local_settings(service_settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The doubles' store, and no data, as the environment names them."""
    chosen = {
        "MODELS_DIR": str(service_settings.models_dir),
        "STATE_DIR": str(service_settings.state_dir),
        "DATA_DIR": str(tmp_path / "data"),
        "DEFAULT_CLASSIFIER": service_settings.default_classifier,
        "DEFAULT_GENERATOR": service_settings.default_generator,
        "THREADS": "1",
    }
    for name, value in chosen.items():
        monkeypatch.setenv(f"CHAPTERHOUSE_{name}", value)
    return Settings()


@pytest.fixture
def run(local_settings: Settings) -> Run:  # noqa: ARG001 - commands read the environment
    """Runs `chapterhouse` with these arguments."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def server(local_settings: Settings) -> Iterator[str]:
    """The address of a running service over the same store."""
    with running_service(local_settings) as address:
        yield address


@pytest.fixture(params=["here", "over HTTP"])
def where(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The option that names where the work is done: nothing, or a running service."""
    return () if request.param == "here" else ("--server", request.getfixturevalue("server"))


def write_mnist(data_dir: Path, images: NDArray[np.uint8], name: str = "mnist") -> None:
    """Make these images (n, H, W), labelled 0 to 9 over and over, the MNIST of a data directory, both parts."""
    folder = data_dir / name
    folder.mkdir(parents=True)
    labels = np.arange(len(images), dtype=np.uint8) % 10
    for file in DATASETS[name].files:
        write_idx(folder / file.name, images if "images" in file.name else labels)
