"""AlexNet on two devices against one: two processes of a core each, whether they learn the same, and how fast."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import backward
from torch.multiprocessing.spawn import spawn

from experiments.claims.claim import Verdict
from experiments.claims.trial import CPU, Data, load_sets
from service.files import write_whole
from service.nets.registry import build_net
from service.tasks.classify import normalise
from service.training.team import Team, gathered

TITLE = "Two devices"
SEED, STEPS, BATCH, ROUNDS = 0, 25, 128, 3
RATE, MOMENTUM = 0.01, 0.9
OPTIONS: dict[str, Any] = {
    "classes": 10,
    "size": 32,
    "stem": [5, 1, 2],
    "widths": [48, 128, 192, 192, 128],
    "dense": [256, 256],
    "dropout": 0.0,
    "drawing": "kaiming",
}
"""As `alexnet-cifar10`, but for dropout, of which every process draws its own."""
DATA = Data(images=STEPS * BATCH)
PLACES = 12
"""Of a loss, that are kept."""
SAME = 1e-6
"""Losses in double precision nearer than this, of about 2, are the same but for the order of sums."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What was measured, by how many devices."""

    losses: dict[int, tuple[float, ...]]
    """Of the batches, one after another."""
    images_per_s: dict[int, tuple[float, ...]]
    """Of each round."""
    exact: dict[int, tuple[float, ...]]
    """Losses of the same batches in double precision."""

    @property
    def apart(self) -> float:
        """How far two devices' losses are from one's, at most."""
        return _apart(self.losses)

    @property
    def exactly_apart(self) -> float:
        """The same in double precision."""
        return _apart(self.exact)

    @property
    def is_same(self) -> Verdict:
        """Whether two devices learn what one learns."""
        return "reproduced" if self.exactly_apart < SAME else "not reproduced"

    @property
    def is_faster(self) -> Verdict:
        """Whether two take less time."""
        return "reproduced" if self.faster > 1 else "not reproduced"

    @property
    def faster(self) -> float:
        """How many times as fast two are as one, in the mean."""
        return mean(self.images_per_s[2]) / mean(self.images_per_s[1])


def _apart(losses: Mapping[int, Sequence[float]]) -> float:
    return max(abs(one - two) for one, two in zip(losses[1], losses[2], strict=True))


def read_devices(path: Path) -> Devices | None:
    """What was measured; nothing where there is no file."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text("utf-8"))
    of = {name: {int(count): tuple(values) for count, values in found[name].items()} for name in found}
    return Devices(**of)


def measure(data_dir: Path, path: Path, *, rounds: int = ROUNDS) -> Devices:
    """Train with one and with two in turns, and write down what came of it."""
    found = [{count: _train_together(count, data_dir) for count in (1, 2)} for _ in range(rounds)]
    exact = {count: tuple(_train_together(count, data_dir, torch.float64)[0]) for count in (1, 2)}
    devices = Devices(
        losses={count: tuple(found[0][count][0]) for count in (1, 2)},
        images_per_s={count: tuple(round(one[count][1], 1) for one in found) for count in (1, 2)},
        exact=exact,
    )
    write_whole(path, (json.dumps(asdict(devices)) + "\n").encode())
    return devices


def _train_together(count: int, data_dir: Path, precision: torch.dtype = torch.float32) -> tuple[list[float], float]:
    """The losses of so many devices, and images a second."""
    with tempfile.TemporaryDirectory(prefix="devices-") as directory:
        place = Path(directory)
        spawn(_take_part, args=(count, data_dir, precision, place), nprocs=count)  # type: ignore[no-untyped-call]
        losses, speed = json.loads((place / "told").read_text("utf-8"))
        return losses, speed


def _take_part(rank: int, count: int, data_dir: Path, precision: torch.dtype, place: Path) -> None:
    torch.set_num_threads(1)
    with gathered(rank, count, place / "meeting", CPU) as team:
        sets = load_sets(DATA, data_dir)
        x = normalise(torch.from_numpy(sets.training.images), DATA.spec).to(precision)
        told = train(team, x, torch.from_numpy(sets.training.labels).long())
        if team.leads:
            (place / "told").write_text(json.dumps(told), "utf-8")


def train(team: Team, x: Tensor, labels: Tensor) -> tuple[list[float], float]:
    """The loss of each batch of images (n, 3, 32, 32), and images a second from the second on; in x's precision."""
    torch.manual_seed(SEED)
    net = build_net("alexnet", OPTIONS).train().to(x.dtype)
    module = team.wrap(net)
    optimiser = torch.optim.SGD(net.parameters(), RATE, momentum=MOMENTUM)
    losses: list[float] = []
    begun = time.perf_counter()
    for first in range(0, len(labels), BATCH):
        rows = team.share(torch.arange(first, min(first + BATCH, len(labels))))
        loss = nn.functional.cross_entropy(module(x[rows]), labels[rows])
        optimiser.zero_grad()
        backward(loss)
        optimiser.step()
        losses.append(round(_mean_of(team, loss.detach()), PLACES))
        if len(losses) == 1:
            begun = time.perf_counter()
    return losses, (len(labels) - BATCH) / (time.perf_counter() - begun)


def _mean_of(team: Team, loss: Tensor) -> float:
    """That of all shares, which are equally large."""
    if team.size > 1:
        distributed.all_reduce(loss)
    return float(loss) / team.size


def glance(devices: Devices) -> Iterator[tuple[str, str, Verdict]]:
    """What was compared, what was measured, and the verdict."""
    yield "losses of two against those of one", f"apart by {_less_than(devices.exactly_apart)}", devices.is_same
    one, two = (mean(devices.images_per_s[count]) for count in (1, 2))
    yield "two against one", f"{two:.0f} : {one:.0f} images/s", devices.is_faster


def _less_than(apart: float) -> str:
    return f"{apart:.1g} at most" if apart else f"less than 1e-{PLACES}"


def section(devices: Devices | None) -> str:
    """What stands in the document."""
    head = f"""### {TITLE}

> A net spread over two devices trains in less time than on one and comes to the same (Krizhevsky et al. 2012, section
> 3.2, spread the maps over two cards; here each device has the whole net and half of every batch, and gradients are
> averaged).

`alexnet-cifar10` without dropout, {STEPS} batches of {BATCH} images in one order from the same weights: one process
with one thread against two processes with one thread each, in turns. `python -m experiments.claims --devices` measures
it, and wants two cores of its own.
"""
    if devices is None:
        return f"{head}\nNot measured yet.\n"
    rows = "\n".join(
        f"| {count} | {devices.losses[count][0]:.4f} | {devices.losses[count][-1]:.4f} |"
        f" {', '.join(f'{speed:.0f}' for speed in devices.images_per_s[count])} |"
        for count in (1, 2)
    )
    return f"""{head}
| devices | loss of the first batch | of the last | images a second, each round |
|---|---|---|---|
{rows}

- The same loss curve: **{devices.is_same}** (in double precision losses differ by {_less_than(devices.exactly_apart)}).
  In single precision, as above, by {_less_than(devices.apart)}: what differs is how sums of gradients are rounded, and
  every batch goes on from where the one before has left the weights.
- In less time: **{devices.is_faster}** ({devices.faster:.2f} times as fast). Two cores of one machine share their
  memory, and a batch's gradients have to be exchanged before the next one begins: that is what keeps it from 2.
"""
