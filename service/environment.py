"""What a process tells libraries by its environment, and its children's: the only place that writes to it."""

import os
from collections.abc import Mapping
from pathlib import Path


def calm_linear_algebra() -> None:
    """Have this process and its children use one thread for numpy's linear algebra, as long as nothing else is set.

    Several threads only fight with the engine's for the cores: 14 s instead of 0.4 for one eigenvalue problem of 2,048.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def silence_onnxruntime() -> None:
    """Have onnxruntime tell its makers nothing and leave no file of that behind; it looks when it is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def take_small_pages() -> None:
    """Have numpy ask for no huge pages, as long as nothing else is set; it looks when it is imported.

    The system may first have to move others' memory to make such, and an event loop stands still meanwhile: 230 ms
    instead of 25 for the 40 MB of a large body's numbers.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")


def share_metrics(directory: Path) -> None:
    """Have this process and its children write their metrics to `directory`, emptied first.

    prometheus-client decides at its import, so this comes before that.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("*.db"):
        stale.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def surroundings() -> Mapping[str, str]:
    """The environment as it is, for who has to know what others have set."""
    return os.environ


def put(variables: Mapping[str, str]) -> None:
    """Have libraries that are loaded from now on find these, in this process and its children."""
    os.environ.update(variables)
