"""The loop of every adversarial system: a few steps of the discriminator, then one of the generator."""

import copy
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.autograd import backward
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from service.imaging import encode_png, tile
from service.nets.registry import build_net
from service.store import ImageOutput
from service.training.run import Run
from service.training.systems.registry import build_system

GRID = 100
SETTLING_BATCHES = 200


class AdversarialRecipe(BaseModel):
    """`[training]` of a generator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loop: Literal["adversarial"]
    seed: int = 0
    system: str = Field(description="A key of SYSTEMS.")
    system_options: dict[str, Any] = {}
    discriminator: str = Field(description="The net that judges.")
    discriminator_options: dict[str, Any] = {}
    iterations: int = Field(gt=0, description="Steps of the generator.")
    discriminator_steps: int = Field(1, gt=0, description="Steps of the discriminator before each of these.")
    batch: int = Field(64, gt=1)
    optimiser: Literal["adam", "rmsprop"] = "adam"
    betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's.")
    generator_rate: float = Field(2e-4, gt=0)
    discriminator_rate: float = Field(2e-4, gt=0)
    average: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of the generator that is kept; 0 keeps the last."
    )
    grid_every: int = Field(500, gt=0, description="Iterations between two pictures of the generator's progress.")

    @model_validator(mode="after")
    def _names_a_system(self) -> Self:
        build_system(self.system, self.system_options)
        return self

    def build_optimiser(self, net: nn.Module, rate: float) -> torch.optim.Optimizer:
        """The optimiser of one of the two nets."""
        if self.optimiser == "adam":
            return torch.optim.Adam(net.parameters(), lr=rate, betas=self.betas)
        return torch.optim.RMSprop(net.parameters(), lr=rate)


def train_adversarial(recipe: AdversarialRecipe, run: Run) -> nn.Module:
    """The trained generator of `run.manifest`, on the CPU and ready to serve."""
    spec = run.manifest.output
    assert spec is not None
    system = build_system(recipe.system, recipe.system_options)
    generator = _place(build_net(run.manifest.net, run.manifest.options), run)
    critic = _place(build_net(recipe.discriminator, recipe.discriminator_options), run)
    average = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    kept = AveragedModel(generator, multi_avg_fn=average, use_buffers=True).eval()
    generator_optimiser = recipe.build_optimiser(generator, recipe.generator_rate)
    critic_optimiser = recipe.build_optimiser(critic, recipe.discriminator_rate)
    pixels = torch.from_numpy(run.images.images)  # (N, H, W, C) uint8
    grid_z = _noise(GRID, spec, run)

    begin = run.checkpoints.restore(
        G=generator, D=critic, kept=kept, steps_G=generator_optimiser, steps_D=critic_optimiser
    )
    for step in range(begin + 1, recipe.iterations + 1):
        critic.requires_grad_(requires_grad=True)
        for _ in range(recipe.discriminator_steps):
            real = _draw_real(pixels, recipe.batch, spec, run)  # (batch, C, H, W) in [−1, 1]
            with torch.no_grad():
                fake = generator(_noise(recipe.batch, spec, run))  # (batch, C, H, W)
            critic_loss = system.discriminator_loss(critic, real, fake)
            critic_optimiser.zero_grad()
            backward(critic_loss)
            critic_optimiser.step()
            system.constrain(critic)

        critic.requires_grad_(requires_grad=False)
        fake = generator(_noise(recipe.batch, spec, run))  # (batch, C, H, W)
        generator_loss = system.generator_loss(critic, real, fake)
        generator_optimiser.zero_grad()
        backward(generator_loss)
        generator_optimiser.step()
        kept.update_parameters(generator)

        if step % recipe.grid_every == 0 or step == recipe.iterations:
            _draw_grid(kept, grid_z, step, run)
        run.progress.report(step, recipe.iterations, discriminator=critic_loss.item(), generator=generator_loss.item())
        run.checkpoints.keep(step, last=step == recipe.iterations)

    return _settle(kept.module, recipe.batch, spec, run)


def _place(net: nn.Module, run: Run) -> nn.Module:
    # Channels last is an eighth faster for these nets on a CPU, and not slower elsewhere.
    return net.to(run.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload, no-any-return]


def _noise(rows: int, spec: ImageOutput, run: Run) -> Tensor:
    """Latents from N(0, 1), (rows, latent); drawn on the CPU so that a seed means the same on every device."""
    return torch.randn(rows, spec.latent).to(run.device)


def _draw_real(pixels: Tensor, rows: int, spec: ImageOutput, run: Run) -> Tensor:
    """Random training images as the generator should paint them: padded with black, in [−1, 1]."""
    chosen = pixels[torch.randint(len(pixels), (rows,))].to(run.device)  # (rows, H, W, C) uint8
    x = chosen.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # (rows, C, H, W)
    return nn.functional.pad(x, [spec.crop] * 4, value=-1.0)


@torch.no_grad()
def _draw_grid(net: nn.Module, z: Tensor, step: int, run: Run) -> None:
    # A copy, normalised by this very batch: an average of weights has no running statistics of its own yet.
    pixels = copy.deepcopy(net).train()(z).add(1).mul(127.5).round().byte().permute(0, 2, 3, 1)  # (GRID, H, W, C)
    path = run.checkpoints.folder / f"samples-{step:06d}.png"
    path.write_bytes(encode_png(tile(pixels.cpu().numpy())))


@torch.no_grad()
def _settle(generator: nn.Module, batch: int, spec: ImageOutput, run: Run) -> nn.Module:
    """Take batch normalisation's statistics anew from the finished weights, as the plain mean over many batches."""
    for module in generator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    generator.train()
    for _ in range(SETTLING_BATCHES):
        generator(_noise(batch, spec, run))
    return generator.cpu().eval()
