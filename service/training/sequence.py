"""The loop of nets that generate a series by heart: the whole of it in every step, the rate falling to nothing."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.autograd import backward

from service.nets.registry import build_net
from service.training.run import Run


class SequenceRecipe(BaseModel):
    """`[training]` of a net that generates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["sequence"]
    seed: int = 0
    epochs: int = Field(gt=0)
    rate: float = Field(3e-3, gt=0, description="Adam's highest learning rate; half a cosine takes it to 0.")


def train_sequence(recipe: SequenceRecipe, run: Run) -> nn.Module:
    """The trained net of `run.manifest`, on the CPU and ready to serve."""
    target = torch.from_numpy(run.series.values).float()[None].to(run.device)  # (1, T, channels)
    x = torch.from_numpy(run.series.inputs).float()[None].to(run.device)  # (1, T, inputs)
    net = build_net(run.manifest.net, run.manifest.options).to(run.device).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    variance = target.var(dim=1, correction=0).mean().item()

    begin = run.checkpoints.restore(net=net, optimiser=optimiser, schedule=schedule)
    for epoch in range(begin + 1, recipe.epochs + 1):
        errors = (net(x) - target).square().mean(dim=(0, 1))  # (channels,)
        # groups share nothing, so that each of them descends the mean error of its own channels
        optimiser.zero_grad()
        backward(errors.sum())
        optimiser.step()
        schedule.step()
        run.progress.report(epoch, recipe.epochs, nmse=errors.mean().item() / variance)
        over = run.is_over(epoch, recipe.epochs, "epochs")
        run.checkpoints.keep(epoch, last=over)
        if over:
            break

    return net.cpu().eval()
