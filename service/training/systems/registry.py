"""Every adversarial system, by its name in recipes."""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel
from torch import Tensor, nn

from service.training.systems.gan import GAN
from service.training.systems.wgan import WGAN


class System(Protocol):
    """Two losses and a constraint; `real` and `fake` are batches of images (n, C, H, W).

    `fake` carries the generator's gradient only in `generator_loss`.
    """

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator (or critic) descends, a scalar."""
        ...

    def generator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """What the generator descends, a scalar."""
        ...

    def constrain(self, discriminator: nn.Module) -> None:
        """What is done to the discriminator after each of its steps."""
        ...


SYSTEMS: dict[str, type[BaseModel]] = {
    "gan": GAN,
    "wgan": WGAN,
}


def build_system(name: str, options: Mapping[str, Any]) -> System:
    """The system of this name. Raises ValueError where there is none, or no such option of it."""
    if name not in SYSTEMS:
        raise ValueError(f"there is no adversarial system called {name!r}; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name].model_validate(dict(options))  # type: ignore[return-value] # a class of the table is a System
