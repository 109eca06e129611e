"""What a net of so many units costs: parameters and multiplications counted, processor time of an update measured."""

import time
from itertools import product

import torch
from torch import nn
from torch.autograd import backward

from experiments.recurrence.players import KINDS, Kind, Player
from experiments.recurrence.record import Sized

UNITS, STEPS, ROWS = 128, 128, 32
PERIODS = (1, 2, 4, 8, 16, 32, 64, 128)
ROUNDS, WARM = 15, 3


def sizes() -> tuple[Sized, ...]:
    """All kinds at the same number of units; rounds are taken in turns, the quickest of each counts."""
    players = {kind: Player(kind, 1, 1, PERIODS) for kind in KINDS}
    torch.manual_seed(0)
    nets = {kind: player.build(UNITS) for kind, player in players.items()}
    optimisers = {kind: torch.optim.Adam(net.parameters()) for kind, net in nets.items()}
    x = torch.randn(ROWS, STEPS, 1)
    taken: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for _, kind in product(range(WARM + ROUNDS), KINDS):
        taken[kind].append(_update(nets[kind], optimisers[kind], x))
    return tuple(
        Sized(
            net=kind,
            units=UNITS,
            modules=len(PERIODS) if kind == KINDS[0] else 1,
            parameters=player.parameters(UNITS),
            macs=player.macs(UNITS, STEPS),
            milliseconds=round(1000 * min(taken[kind][WARM:]), 2),
        )
        for kind, player in players.items()
    )


def _update(net: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor) -> float:
    """Seconds of one processor."""
    begun = time.process_time()
    loss = net(x).square().mean()
    optimiser.zero_grad()
    backward(loss)
    optimiser.step()
    return time.process_time() - begun
