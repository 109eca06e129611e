"""Which devices get an engine each, how they are called, and what of a machine's cards each of them is to see."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from service.errors import ConfigurationError
from service.runtime.duties import Duty

IDENTITIES = ("GPU-", "MIG-")
"""How the names begin that NVIDIA gives cards and parts of cards."""
SIMULATED = "simulated"
"""How the names of cards begin that there are not, for rehearsals."""
DRIVER = "proc/driver/nvidia/version"
NODES = "nvidia[0-9]*"
PROGRAM = "nvidia-smi"
PLACES = ("usr/bin", "usr/local/bin", "usr/lib/wsl/lib", "usr/local/nvidia/bin")
ASK = (
    "import torch; built = torch.version.cuda; n = torch.cuda.device_count(); print(n, built or '-'); "
    "n or (built and torch.cuda.init())"
)
"""What another process is asked, which may load torch and find a driver that is broken."""

Asking = Callable[[], "Found"]


class Found(NamedTuple):
    """What torch finds on this machine."""

    cards: int
    trouble: str = ""
    """Why it finds none, in its own words."""


def driver_of(root: Path = Path("/")) -> str | None:
    """What shows that a driver for NVIDIA's cards is here, if something does."""
    if (root / DRIVER).exists():
        return f"/{DRIVER}"
    for node in sorted((root / "dev").glob(NODES)):
        return f"/dev/{node.name}"
    return next((f"/{place}/{PROGRAM}" for place in PLACES if (root / place / PROGRAM).exists()), None)


def ask_torch() -> Found:
    """What torch finds, asked in a process of its own, so that this one need not load it."""
    program = [sys.executable, "-c", ASK]
    try:
        answer = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        return Found(0, "the driver has not answered in 120 s")
    count, _, built = answer.stdout.strip().partition(" ")
    if built == "-":
        return Found(0, "the torch that is installed here knows no CUDA; install the one for CUDA")
    said = answer.stderr.strip().splitlines()
    return Found(int(count) if count.isdigit() else 0, said[-1] if said else "it says nothing")


def devices_of(wanted: str, root: Path = Path("/"), ask: Asking = ask_torch) -> tuple[list[str], str]:
    """The devices that get an engine each, by name, and what an operator must hear, if anything.

    `auto` is every card, or the processor. A device that is named more than once has several engines, whose names are
    numbered. Raises ConfigurationError.
    """
    if wanted != "auto":
        named = [name.strip() for name in wanted.split(",") if name.strip()]
        if not named:
            raise ConfigurationError("CHAPTERHOUSE_DEVICES names no device; write `auto`, `cpu` or `cuda:0`.")
        return _numbered(named), ""
    driver = driver_of(root)
    if driver is None:
        return ["cpu"], ""
    found = ask()
    if found.cards:
        return [f"cuda:{index}" for index in range(found.cards)], ""
    return ["cpu"], (
        f"There is a driver for NVIDIA's cards ({driver}), but no card can be used: {found.trouble}. All models run on"
        " the processor. CHAPTERHOUSE_DEVICES=cpu says that this is meant."
    )


def _numbered(named: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered = []
    for name in named:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return numbered


def is_card(name: str) -> bool:
    """Whether a device is an NVIDIA card, or a part of one."""
    return name.startswith(("cuda", *IDENTITIES))


def duties_of(devices: Sequence[str]) -> list[tuple[str, Duty]]:
    """The engines, a device and a duty each: where there are cards, one more on the processor does the forecasts."""
    if not any(is_card(name) for name in devices):
        return [(name, Duty.ALL) for name in devices]
    beside = _numbered([*(name.partition("#")[0] for name in devices), "cpu"])[-1]
    return [*((name, Duty.OTHERS) for name in devices), (beside, Duty.FORECASTS)]


def environment_of(name: str, now: Mapping[str, str]) -> dict[str, str]:
    """What the environment of an engine has to say so that it sees its own card and no other, which is its `cuda:0`.

    Cards are counted as nvidia-smi counts them; where the service itself sees some only, among these.
    """
    if not is_card(name):
        return {}
    identity = name.partition("#")[0].removeprefix("cuda").removeprefix(":") or "0"
    seen = [card.strip() for card in now.get("CUDA_VISIBLE_DEVICES", "").split(",") if card.strip()]
    if identity.isdigit() and seen:
        identity = seen[int(identity)] if int(identity) < len(seen) else "-1"  # none: it is found to be missing
    return {"CUDA_VISIBLE_DEVICES": identity, "CUDA_DEVICE_ORDER": now.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}
