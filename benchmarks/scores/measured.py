"""One run of a score's contenders, and the machine that it was measured on."""

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "pytorch-fid",
    "torch-fidelity",
    "clean-fid",
    "torchmetrics",
    "prdc",
    "scikit-learn",
    "POT",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: what the contenders of a score took at one size and number of threads."""

    score: str
    n: int
    d: int
    threads: int
    rounds: int
    machine: dict[str, str]
    results: dict[str, dict[str, float]]

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What it is a measurement of: a later one replaces an earlier one."""
        return self.score, self.d, self.n, self.threads


def machine() -> dict[str, str]:
    """The processor, the kernels that numpy chose for it, and the versions of whatever takes part."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    kernels = sorted({f"{one['version']} {one.get('architecture', '')}".strip() for one in threadpool_info()})
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"processor": f"{names[0]}, {len(names)} cores", "OpenBLAS": ", ".join(kernels), **versions}
