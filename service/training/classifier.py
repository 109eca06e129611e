"""The loop of every classifier: epochs of shuffled, perhaps distorted images, the rate falling to nothing."""

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.autograd import backward
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from service.datasets.split import Split
from service.nets.registry import build_net
from service.store import ImageInput
from service.tasks.classify import normalise
from service.training.run import Run

MEASURING_BATCH = 500


class Distortion(BaseModel):
    """Random planar affine distortions of each training image, as in section III of LeNet-5's paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: float = Field(0.0, ge=0, description="Degrees, at most, either way.")
    scale: float = Field(0.0, ge=0, lt=1, description="Relative change of size, at most, of either side.")
    shear: float = Field(0.0, ge=0, description="Horizontal shift a unit of height, at most.")
    shift: float = Field(0.0, ge=0, description="Pixels, at most, each way.")
    flip: bool = Field(default=False, description="Whether half of the images are mirrored left to right.")

    def draw(self, rows: int, side: int) -> Tensor:
        """Random maps from output to input coordinates, (rows, 2, 3)."""
        turn, stretch_x, stretch_y, shear, shift_x, shift_y = torch.empty(6, rows).uniform_(-1, 1)
        turn = turn * math.radians(self.rotation)
        mirror = torch.where(torch.rand(rows) < 0.5, -1.0, 1.0) if self.flip else torch.ones(rows)
        width = mirror * (1 + stretch_x * self.scale)
        height = 1 + stretch_y * self.scale
        cos, sin = turn.cos(), turn.sin()
        slant = shear * self.shear
        pixel = 2 * self.shift / side
        return torch.stack(
            [
                torch.stack([width * cos, width * slant * cos - height * sin, shift_x * pixel], dim=1),
                torch.stack([width * sin, width * slant * sin + height * cos, shift_y * pixel], dim=1),
            ],
            dim=1,
        )


class ClassifierRecipe(BaseModel):
    """`[training]` of a classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["classifier"]
    seed: int = 0
    epochs: int = Field(gt=0)
    batch: int = Field(128, gt=0)
    loss: Literal["cross-entropy", "map"] = "cross-entropy"
    garbage: float = Field(1.0, description="j of the MAP criterion: how far away the rubbish class lies.")
    optimiser: Literal["adam", "sgd"] = "adam"
    rate: float = Field(1e-3, gt=0, description="Highest learning rate; half a cosine takes it to 0.")
    warm_up: float = Field(0.0, ge=0, lt=1, description="Share of all steps in which the rate rises to its highest.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd.")
    weight_decay: float = Field(0.0, ge=0)
    distortion: Distortion | None = None
    held_out: int = Field(0, ge=0, description="Last training images that are measured instead of trained on.")

    def build_optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the net, at the highest rate."""
        if self.optimiser == "adam":
            return torch.optim.Adam(net.parameters(), lr=self.rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            net.parameters(), lr=self.rate, momentum=self.momentum, weight_decay=self.weight_decay, nesterov=True
        )

    def relative_rate(self, done: float) -> float:
        """The rate as a share of the highest once a share of all steps is done."""
        if done < self.warm_up:
            return done / self.warm_up
        return 0.5 * (1 + math.cos(math.pi * (done - self.warm_up) / (1 - self.warm_up)))

    def measure_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, or the paper's MAP criterion (equation 9): that with one more class at −j."""
        if self.loss == "map":
            logits = torch.cat([logits, logits.new_full((len(logits), 1), -self.garbage)], dim=1)
        return cross_entropy(logits, labels)


def train_classifier(recipe: ClassifierRecipe, run: Run) -> nn.Module:
    """The trained net of `run.manifest`, on the CPU and ready to serve."""
    spec = run.manifest.input
    assert spec is not None
    trained, measured = run.images.divide(recipe.held_out)
    pixels = torch.from_numpy(trained.images)  # (N, H, W, C) uint8
    labels = torch.from_numpy(trained.labels).long()  # (N,)
    net = build_net(run.manifest.net, run.manifest.options).to(run.device).train()
    optimiser = recipe.build_optimiser(net)
    batches = math.ceil(len(labels) / recipe.batch)
    steps = recipe.epochs * batches
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: recipe.relative_rate((step + 1) / (steps + 1)))

    begin = run.checkpoints.restore(net=net, optimiser=optimiser, schedule=schedule)
    for epoch in range(begin + 1, recipe.epochs + 1):
        order = torch.randperm(len(labels))  # (N,)
        for place in range(batches):
            rows = order[place * recipe.batch : (place + 1) * recipe.batch]  # (batch,)
            x = normalise(pixels[rows].to(run.device), spec)  # (batch, C, H + 2·pad, W + 2·pad)
            if recipe.distortion is not None:
                x = distort(x, recipe.distortion, spec)
            logits = net(x)  # (batch, classes)
            loss = recipe.measure_loss(logits, labels[rows].to(run.device))
            optimiser.zero_grad()
            backward(loss)
            optimiser.step()
            schedule.step()
            run.progress.report((epoch - 1) * batches + place + 1, steps, epoch=epoch, loss=loss.item())

        if recipe.held_out:
            accuracy = measure_accuracy(net, measured, spec, run.device)
            run.progress.say(f"epoch {epoch}: accuracy {accuracy:.4f} on {recipe.held_out} held-out images")
        run.checkpoints.keep(epoch, last=epoch == recipe.epochs)

    return net.cpu().eval()


def distort(x: Tensor, distortion: Distortion, spec: ImageInput) -> Tensor:
    """Each of the normalised images (n, C, H, W) under its own random map: bilinear, black coming in from outside."""
    # Sampling pads with 0, so black is 0 meanwhile.
    black = x.new_tensor(spec.mean).div(x.new_tensor(spec.std)).view(-1, 1, 1)
    maps = distortion.draw(len(x), x.shape[-1]).to(x.device)
    grid = affine_grid(maps, list(x.shape), align_corners=False)  # (batch, H, W, 2)
    return grid_sample(x + black, grid, padding_mode="zeros", align_corners=False) - black


@torch.no_grad()
def measure_accuracy(net: nn.Module, split: Split, spec: ImageInput, device: torch.device) -> float:
    """Share of the images whose largest logit is their label's."""
    net.eval()
    hits = 0
    for start in range(0, len(split), MEASURING_BATCH):
        rows = slice(start, start + MEASURING_BATCH)
        logits = net(normalise(torch.from_numpy(split.images[rows]).to(device), spec))  # (batch, classes)
        hits += int((logits.argmax(dim=1).cpu() == torch.from_numpy(split.labels[rows])).sum())
    net.train()
    return hits / len(split)
