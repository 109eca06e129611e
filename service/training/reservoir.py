"""The loops of echo state networks: everything is heard once, and one linear system is solved."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from service.datasets.split import Split
from service.nets.echo_state import EchoState
from service.nets.registry import build_net
from service.nets.ridge import RidgeSums
from service.nets.sequential import EchoStateClassifier
from service.store import ImageInput
from service.tasks.classify import normalise
from service.training.run import Run

IMAGES_AT_ONCE = 1000


class ReservoirRecipe(BaseModel):
    """`[training]` of an echo state network that forecasts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["reservoir"]
    seed: int = Field(0, description="Unused: the reservoir is drawn from the seed among the net's options.")
    washout: int = Field(ge=0, description="First steps that the readout is not fitted to.")
    ridge: float = Field(gt=0, description="β, added to each diagonal element of the sums over all steps.")


def train_reservoir(recipe: ReservoirRecipe, run: Run) -> nn.Module:
    """Drive the net with the series itself, and solve its readout from all steps after the washout."""
    net = build_net(run.manifest.net, run.manifest.options).to(run.device)
    assert isinstance(net, EchoState)
    series = torch.from_numpy(run.series.whole).to(run.device)  # (T, channels + inputs)
    features = net.normalise_by(series).features(series[None])[0]  # (T, F)
    sums = net.sums(features[recipe.washout :], series[recipe.washout :, : net.channels])
    net.settle(sums.solve(recipe.ridge))
    run.progress.report(len(series), len(series))
    return net.cpu().eval()


class ReservoirClassifierRecipe(BaseModel):
    """`[training]` of an echo state network that classifies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["reservoir-classifier"]
    seed: int = Field(0, description="Unused: the reservoir is drawn from the seed among the net's options.")
    ridge: float = Field(gt=0, description="β, added to each diagonal element of the sums over all images.")
    held_out: int = Field(5000, gt=0, description="Last training images, by which the readout's sharpness is chosen.")
    sharpness: tuple[float, ...] = Field(
        (4, 6, 8, 10, 12, 16, 20), description="Factors among which is chosen; the readout's targets are 0 and 1."
    )


def train_reservoir_classifier(recipe: ReservoirClassifierRecipe, run: Run) -> nn.Module:
    """Solve the readout from all images but the held-out ones, sharpen it by these, and solve it from all."""
    spec = run.manifest.input
    assert spec is not None
    net = build_net(run.manifest.net, run.manifest.options).to(run.device).eval()
    assert isinstance(net, EchoStateClassifier)
    trained, held_out = run.images.divide(recipe.held_out)
    sums = RidgeSums(1 + net.readout.in_features, net.readout.out_features, device=run.device)
    for start in range(0, len(trained), IMAGES_AT_ONCE):
        part = Split(trained.images[start : start + IMAGES_AT_ONCE], trained.labels[start : start + IMAGES_AT_ONCE])
        sums.update(*_seen(net, part, spec, run.device))
        run.progress.report(start + len(part), len(trained))
    last = _seen(net, held_out, spec, run.device)
    outputs = last[0].double() @ sums.solve(recipe.ridge).T  # (held_out, classes)
    losses = {factor: _cross_entropy(outputs * factor, last[1]) for factor in recipe.sharpness}
    sharpness = min(losses, key=losses.__getitem__)
    accuracy = (outputs.argmax(dim=1) == last[1].argmax(dim=1)).double().mean().item()
    run.progress.say(f"accuracy {accuracy:.4f} on {len(held_out)} held-out images, sharpness {sharpness:g}")
    weights = sharpness * sums.update(*last).solve(recipe.ridge)  # (classes, 1 + kept·units)
    with torch.no_grad():
        net.readout.bias.copy_(weights[:, 0])
        net.readout.weight.copy_(weights[:, 1:])
    return net.cpu()


@torch.no_grad()
def _seen(net: EchoStateClassifier, split: Split, spec: ImageInput, device: torch.device) -> tuple[Tensor, Tensor]:
    """What the readout sees of images, a 1 before it, and the class that each is, as 0 and 1."""
    x = net.features(normalise(torch.from_numpy(split.images).to(device), spec))  # (n, kept·units)
    labels = torch.from_numpy(split.labels).long().to(device)
    return torch.cat([x.new_ones(len(x), 1), x], dim=1), one_hot(labels, net.readout.out_features)


def _cross_entropy(logits: Tensor, target: Tensor) -> float:
    return float(nn.functional.cross_entropy(logits, target.argmax(dim=1)))
