"""One to eight engines on a net that sleeps: how far from eight times as much eight engines are.

    python -m benchmarks.engines [--engines 1 2 4 8] [--connections 32 128] [--seconds 10] [--write]

The net needs a known time for each image and no processor, as an accelerator does, so that two cores feed eight
engines: what is missing is what the service loses between them. Interactive work is a closed loop of single images over
HTTP; bulk work is one set of images for their features, through the blocks of an evaluation. Both are told as the share
of what so many engines could do. `--write` puts it into docs/feeding.md.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.load.hostile import small_image
from benchmarks.load.machine import machine
from benchmarks.load.service import Service
from benchmarks.load.sleeping import NAME, add_sleeper
from benchmarks.load.writing import put
from service.cli.load import Load, run_load
from service.evaluation.extraction import extract_features
from service.runtime.duties import Duty
from service.runtime.pool import EnginePool
from service.store import ModelStore

PROGRAM = (sys.executable, "-m", "benchmarks.load.sleeping", "serve")
PER_SECOND = 50
"""Images of one engine: as slow as a large net, so that what is lost is not the two cores' own limit."""
LEAST = 0.95
GONE_S = 2.0
"""By then a front knows that clients which closed their side are gone, and has taken out what they asked."""
SIDE = 28
Shares = Mapping[str, Sequence[float]]
"""Of each kind of work, the share of what one, two, … engines could do."""


def read_all(engines: Sequence[int], connections: Sequence[int], seconds: float) -> dict[str, list[float]]:
    """The shares that were reached."""
    found: dict[str, list[float]] = {}
    for count in engines:
        with tempfile.TemporaryDirectory(prefix="chapterhouse-engines-") as directory:
            folder = Path(directory)
            add_sleeper(folder / "state" / "models", per_second=PER_SECOND)
            devices = ",".join(["cpu"] * count)
            with Service(
                folder, program=PROGRAM, PRELOAD=NAME, DEVICES=devices, FRONTS=1, EVALUATORS=1, THREADS=1, FORM="plain"
            ) as service:
                capacity = count * PER_SECOND
                for several in connections:
                    rate = interactive(service, several, seconds)
                    found.setdefault(f"interactive, {several} connections", []).append(rate / capacity)
                rate = asyncio.run(bulk(folder, service, round(capacity * seconds)))
                found.setdefault("bulk, one set of images", []).append(rate / capacity)
    return found


def interactive(service: Service, connections: int, seconds: float) -> float:
    """Answers a second; the first second is left out, in which the engines have not all been found."""
    url = f"{service.url}/classify?model={NAME}"
    run_load(Load(url, small_image(), connections=connections, seconds=1))
    time.sleep(GONE_S)
    reading = run_load(Load(url, small_image(), connections=connections, seconds=seconds))
    assert not reading.errors, reading.errors
    time.sleep(GONE_S)
    return reading.requests_per_s


async def bulk(folder: Path, service: Service, count: int) -> float:
    """Images a second whose features are asked for as an evaluation does."""
    model = ModelStore(service.state / "models").get(NAME)
    pool = EnginePool(sockets := sockets_in(folder))
    await pool.start()
    while pool.width() < len(sockets):  # noqa: ASYNC110 - a pool has no word for it, its users need none
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await extract_features(pool, model, np.zeros((count, SIDE, SIDE, 1), np.uint8))
    rate = count / (time.monotonic() - began)
    await pool.stop()
    return rate


def sockets_in(folder: Path) -> list[Path]:
    """Where the engines of a service below a folder listen. Raises AssertionError where none does."""
    found = [socket for duty in Duty for socket in sorted(folder.glob(f"tmp/*/{duty}-*.sock"))]
    assert found, f"no engine listens below {folder}"
    return found


def table(engines: Sequence[int], shares: Shares) -> list[str]:
    """What was found, and what fell short."""
    lines = [f"| share of what so many engines could do | {' | '.join(map(str, engines))} |"]
    lines.append("|---" * (len(engines) + 1) + "|")
    lines += [f"| {kind} | {' | '.join(f'{share:.3f}' for share in found)} |" for kind, found in shares.items()]
    return [*lines, *faults(engines, shares)]


def faults(engines: Sequence[int], shares: Shares) -> list[str]:
    """Where so many engines do less than they should beside the first number of them."""
    return [
        f"{kind}: {count} engines are {share / found[0]:.3f} of linear"
        for kind, found in shares.items()
        for count, share in zip(engines, found, strict=True)
        if share < LEAST * found[0]
    ]


def main() -> int:
    """Measure, and say it; 1 where engines stand idle that could work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each reading")
    parser.add_argument("--write", action="store_true", help="put it into docs/feeding.md, too")
    options = parser.parse_args()
    print(measured_on := machine())
    shares = read_all(options.engines, options.connections, options.seconds)
    lines = table(options.engines, shares)
    print("\n".join(lines))
    if options.write:
        put("feeding.md", "engines", [f"{measured_on}.", "", *lines])
    return 1 if faults(options.engines, shares) else 0


if __name__ == "__main__":
    sys.exit(main())
