"""Nets side by side descend a task's losses, each at a rate of its own; the best rate of a few is found beforehand."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import backward

from experiments.recurrence.players import Kind, Player
from experiments.recurrence.record import Trained
from experiments.recurrence.tasks import Task

RATES = (1e-3, 3e-3, 1e-2)
TUNED_ON, SEEDS = 2, 5
"""Draws of the weights by which a rate is chosen, and others that are reported."""
TUNING_SEED = 100
STEEPEST = 1.0
"""Gradients of one net are clipped to this norm."""
LOST = 1e6
"""An error that stands for one that is not finite."""
MOMENTS = 20
"""Of a training, at which the mean loss since the last is kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What nets side by side came to."""

    errors: Tensor
    """Each net's, (groups,)."""
    losses: Tensor
    """Each net's mean losses, (moments, groups)."""
    seconds: float
    """Of one processor, for all of them."""


def descend(task: Task, net: nn.Module, rates: Sequence[float], updates: int) -> tuple[Tensor, float]:
    """Adam on the nets of one stack, each at its own rate that half a cosine takes to nothing; losses and seconds."""
    groups, begun = len(rates), time.process_time()
    shares = torch.tensor(rates) / max(rates)
    optimiser = torch.optim.Adam(net.parameters(), lr=max(rates))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    means, since = [], torch.zeros(groups)
    for update in range(1, updates + 1):
        losses = task.losses(net)
        optimiser.zero_grad()
        backward(losses.sum())  # nets share nothing, so that each of them descends its own
        clip_each(net, groups)
        step_each(optimiser, net, shares)
        schedule.step()
        since = since + losses.detach()
        if update % (updates // MOMENTS) == 0:
            means.append(since / (updates // MOMENTS))
            since = torch.zeros(groups)
    return torch.stack(means), time.process_time() - begun


@torch.no_grad()
def clip_each(net: nn.Module, groups: int) -> None:
    """Clip the gradient of each net of a stack to one norm; one that is not finite is left out of the step."""
    slopes = [weight.grad.view(groups, -1) for weight in net.parameters() if weight.grad is not None and weight.numel()]
    norms = torch.stack([slope.square().sum(dim=1) for slope in slopes]).sum(dim=0).sqrt()  # (groups,)
    factors = (STEEPEST / norms).clamp(max=1.0).nan_to_num(0.0)
    for slope in slopes:
        slope.copy_((slope * factors[:, None]).nan_to_num(0.0, 0.0, 0.0))


@torch.no_grad()
def step_each(optimiser: torch.optim.Optimizer, net: nn.Module, shares: Tensor) -> None:
    """A step of Adam, of which each net of a stack takes its share: to Adam that is a rate of its own."""
    before = [weight.clone() for weight in net.parameters()]
    optimiser.step()
    for weight, old in zip(net.parameters(), before, strict=True):
        share = shares.repeat_interleave(len(weight) // len(shares))
        weight.copy_(torch.lerp(old, weight, share.view(-1, *[1] * (weight.ndim - 1))))


def attempt(task: Task, player: Player, units: int, rates: Sequence[float], *, seed: int, part: str) -> Outcome:
    """Train one stack from a seed, a net for each rate, and measure it."""
    tuning = part == "tuning"
    torch.manual_seed(seed)
    net = player.build(units, groups=len(rates))
    losses, seconds = descend(task, net, rates, task.updates // 2 if tuning else task.updates)
    return Outcome(task.errors(net, "tuning" if tuning else "test"), losses, seconds)


def compete(task: Task, kind: Kind) -> Trained:
    """A kind of net at a task: its rate chosen on seeds and data of their own, then five seeds."""
    player = Player(kind, task.inputs, task.outputs, task.periods)
    units = player.largest(task.budget)
    each = TUNED_ON * task.copies
    stack = [rate for rate in RATES for _ in range(each)]
    tried = attempt(task, player, units, stack, seed=TUNING_SEED, part="tuning").errors.view(len(RATES), each)
    means: dict[float, float] = dict(zip(RATES, tried.nan_to_num(LOST).mean(dim=1).tolist(), strict=True))
    best = min(means, key=means.__getitem__)
    found = attempt(task, player, units, [best] * (SEEDS * task.copies), seed=0, part="test")
    losses = found.losses.view(MOMENTS, SEEDS, task.copies).mean(dim=2)
    return Trained(
        task=task.key,
        net=kind,
        steps=task.steps,
        updates=task.updates,
        units=units,
        parameters=player.parameters(units),
        macs=player.macs(units, task.steps),
        tried={f"{rate:g}": round(mean, 6) for rate, mean in means.items()},
        rate=best,
        errors=rounded(found.errors.view(SEEDS, task.copies).mean(dim=1)),
        losses=tuple(rounded(moment) for moment in losses),
        seconds=round(found.seconds, 2),
    )


def rounded(values: Tensor) -> tuple[float, ...]:
    """Six places are enough; what is not a number is very much."""
    return tuple(round(value, 6) for value in values.double().nan_to_num(LOST, LOST).clamp(max=LOST).tolist())
