"""Several processes that train one net: distributed data parallel as one switch.

Every process holds the whole net and the whole data set, works on its share of each batch, and the gradients are
averaged; so N processes train on the batches on which one would.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those that train together; alone unless said otherwise."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that reports and writes."""
        return self.rank == 0

    def wrap(self, net: nn.Module) -> nn.Module:
        """The net, averaging its gradients over the team on every backward pass."""
        return net if self.size == 1 else DistributedDataParallel(net)

    def agree(self, *, over: bool, device: torch.device) -> bool:
        """Whether the first of the team says so: clocks differ, and all have to stop at the same round."""
        if self.size == 1:
            return over
        said = torch.tensor(int(over), device=device)
        distributed.broadcast(said, 0)
        return bool(said)

    def draw_order(self, count: int, device: torch.device) -> Tensor:
        """A random order of `count` images that the whole team shares, (count,).

        From here on each process draws for itself: its images are other ones.
        """
        if self.size == 1:
            return torch.randperm(count)
        seed = torch.randint(2**62, (1,)).to(device)
        distributed.broadcast(seed, 0)
        shared = int(seed)
        torch.manual_seed(shared + 1 + self.rank)
        return torch.randperm(count, generator=torch.Generator().manual_seed(shared))

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch, as large as everybody's; the first image fills up the last parts."""
        if self.size == 1:
            return rows
        missing = -len(rows) % self.size
        return torch.cat([rows, rows[:1].expand(missing)])[self.rank :: self.size]


@contextmanager
def gathered(rank: int, size: int, meeting: Path, device: torch.device) -> Iterator[Team]:
    """The team of `size` processes that meet at a file; NCCL between GPUs, gloo between CPUs."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)  # NCCL gathers on the current one
    distributed.init_process_group(
        backend, init_method=meeting.resolve().as_uri(), rank=rank, world_size=size, timeout=TIMEOUT
    )
    try:
        yield Team(rank, size)
    finally:
        distributed.destroy_process_group()
