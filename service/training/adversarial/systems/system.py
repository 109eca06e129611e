"""What every adversarial system is: two losses, a constraint, and options as fields."""

from abc import abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn, optim

from service.training.adversarial.systems.step import Step


class System(BaseModel):
    """One entry of the registry; its fields are what `system_options` may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """What papers call it."""
    labelled: ClassVar[bool] = False
    """Whether its discriminator is told which samples are real, so that `labels` mean something to it."""

    @abstractmethod
    def discriminator_loss(self, step: Step) -> Tensor:
        """What the discriminator (or critic) descends, a scalar."""

    @abstractmethod
    def generator_loss(self, step: Step) -> Tensor:
        """What the generator descends, a scalar."""

    def constrain(self, discriminator: nn.Module) -> None:
        """What is done to the discriminator after each of its steps."""

    def check(self, *, batch: int, optimiser: type[optim.Optimizer]) -> None:
        """Raise ValueError where such a batch, or such an optimiser of the discriminator, does not suit the system."""
