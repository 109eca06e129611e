"""What a manifest may say of an adversarial training: the system, its players, and advice against collapse."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from service.nets.registry import build_net
from service.training.adversarial.appraisals import Appraised
from service.training.adversarial.labels import Labels
from service.training.adversarial.systems.registry import build_system
from service.training.adversarial.systems.system import System
from service.training.adversarial.watch import Watched

OptimiserName = Literal["adam", "rmsprop", "sgd"]
OPTIMISERS: dict[OptimiserName, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


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
    alone: int = Field(0, ge=0, description="So many more of them before the first.")
    batch: int = Field(64, gt=1)
    stack: int = Field(
        1, gt=0, description="Trainings side by side, each of nets of its own; the first generator is the one kept."
    )
    optimiser: OptimiserName = "adam"
    discriminator_optimiser: OptimiserName | None = Field(None, description="The discriminator's, if it is another.")
    betas: tuple[float, float] = Field((0.5, 0.999), description="Adam's.")
    generator_rate: float = Field(2e-4, gt=0)
    discriminator_rate: float = Field(
        2e-4, gt=0, description="Apart from the generator's: two time-scales (Heusel et al. 2017)."
    )
    falling_from: float = Field(
        1.0, gt=0, le=1, description="Share of the iterations from which on both rates fall, on a line, to nothing."
    )
    average: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of the generator that is kept; 0 keeps the last."
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32", description="Of the players' layers, with a card's TF32 or in bfloat16; losses have 32."
    )
    weights: Literal["float32", "float16"] = Field("float32", description="How matrices and filters are stored.")
    labels: Labels = Labels()
    separate_batches: bool = Field(
        default=True, description="Whether real and fake samples are normalised apart; else in one batch."
    )
    instance_noise: float = Field(
        0.0, ge=0, description="Deviation, at first, of the noise on all that is judged (Sønderby et al. 2017)."
    )
    instance_noise_until: float = Field(1.0, gt=0, le=1, description="Share of the iterations after which it is gone.")
    replay: float = Field(0.0, ge=0, lt=1, description="Share of the fakes that are of earlier iterations.")
    replay_size: int = Field(2048, gt=0, description="Most samples that are kept for that.")
    spectral: bool = Field(
        default=False, description="Spectral normalisation of the discriminator's layers (Miyato et al. 2018)."
    )
    record_every: int = Field(
        50, gt=0, description="Iterations whose mean losses and gradients are one row of history."
    )
    grid_every: int = Field(500, gt=0, description="Iterations between two pictures of the generator's progress.")
    appraised: Appraised | None = None
    watched: Watched = Watched()
    afterwards: dict[str, Any] = Field(
        {},
        description="What a second part says otherwise: the generator goes on from its weights as they are stored, and"
        " a discriminator begins anew, on the next seed.",
    )

    @model_validator(mode="after")
    def _fits_its_system(self) -> Self:
        system = self.build_system()
        if not system.labelled and not self.labels.are_hard:
            raise ValueError(f"{self.system} has no labels that could be soft or flipped")
        if self.stack > 1 and (self.replay or self.spectral or not self.separate_batches):
            raise ValueError("replay, spectral and one batch for both do not go with a stack")
        self._check_second()
        system.check(batch=self.batch, optimiser=OPTIMISERS[self.discriminator_optimiser or self.optimiser])
        return self

    def _check_second(self) -> None:
        """Raise ValueError where the second part is none that there can be."""
        if self.stack > 1 and self.afterwards:
            raise ValueError("a stack has no second part")
        if self.afterwards.keys() & {"afterwards", "stack", "weights"}:
            raise ValueError("a second part says nothing else of afterwards, stack and weights")
        _ = self.second

    @property
    def rows(self) -> int:
        """Samples in the batches of all trainings."""
        return self.stack * self.batch

    @property
    def second(self) -> Self | None:
        """The recipe of the second part, where there is one."""
        if not self.afterwards:
            return None
        first = self.model_dump(exclude={"afterwards"})
        return type(self).model_validate({**first, "seed": self.seed + 1, **self.afterwards})

    @property
    def held_out(self) -> int:
        """How many of the last training images are kept from training."""
        return self.appraised.kept_from_training if self.appraised else 0

    def build_system(self) -> System:
        """The two losses and the constraint."""
        return build_system(self.system, self.system_options)

    def stacked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """A net's options for as many of them as are trained."""
        return {**options, "stack": self.stack} if self.stack > 1 else dict(options)

    def build_discriminator(self) -> nn.Module:
        """The net that judges, its layers normalised where the recipe says so."""
        net = build_net(self.discriminator, self.stacked(self.discriminator_options))
        if self.spectral:
            for layer in [
                layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
            ]:
                spectral_norm(layer)
        return net

    def build_optimiser(self, generator: nn.Module) -> torch.optim.Optimizer:
        """The generator's optimiser."""
        return self._optimiser(self.optimiser, generator, self.generator_rate)

    def build_discriminator_optimiser(self, discriminator: nn.Module) -> torch.optim.Optimizer:
        """The discriminator's optimiser."""
        return self._optimiser(self.discriminator_optimiser or self.optimiser, discriminator, self.discriminator_rate)

    def autocast(self, device: torch.device) -> torch.autocast:
        """Inside, the players' layers work in the recipe's precision."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def relative_rate(self, step: int) -> float:
        """Both rates in an iteration, the first being 1, as a share of those that are written down."""
        left = (self.iterations - step + 1) / (self.iterations + 1)
        return min(1.0, left / (1 - self.falling_from)) if self.falling_from < 1 else 1.0

    def set_rates(self, step: int, generator: torch.optim.Optimizer, discriminator: torch.optim.Optimizer) -> None:
        """Give both optimisers their rates for an iteration."""
        for optimiser, rate in ((generator, self.generator_rate), (discriminator, self.discriminator_rate)):
            for group in optimiser.param_groups:
                group["lr"] = rate * self.relative_rate(step)

    def noise_at(self, step: int) -> float:
        """Deviation of the instance noise in an iteration, the first being 1; it falls to nothing on a line."""
        return self.instance_noise * max(0.0, 1 - (step - 1) / (self.instance_noise_until * self.iterations))

    def _optimiser(self, name: OptimiserName, net: nn.Module, rate: float) -> torch.optim.Optimizer:
        if name == "adam":
            return torch.optim.Adam(net.parameters(), lr=rate, betas=self.betas)
        return OPTIMISERS[name](net.parameters(), lr=rate)  # type: ignore[call-arg] # each of them has a rate
