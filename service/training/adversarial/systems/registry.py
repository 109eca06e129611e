"""Every adversarial system, by its name in recipes."""

from collections.abc import Mapping
from typing import Any

from service.training.adversarial.systems.dragan import DRAGAN
from service.training.adversarial.systems.ebgan import EBGAN
from service.training.adversarial.systems.gan import GAN
from service.training.adversarial.systems.madgan import MADGAN
from service.training.adversarial.systems.minibatch import MinibatchDiscrimination
from service.training.adversarial.systems.pacgan import PacGAN
from service.training.adversarial.systems.system import System
from service.training.adversarial.systems.unrolled import UnrolledGAN
from service.training.adversarial.systems.wgan import WGAN
from service.training.adversarial.systems.wgan_gp import WGANGP

SYSTEMS: dict[str, type[System]] = {
    "dragan": DRAGAN,
    "ebgan": EBGAN,
    "gan": GAN,
    "madgan": MADGAN,
    "minibatch": MinibatchDiscrimination,
    "pacgan": PacGAN,
    "unrolled": UnrolledGAN,
    "wgan": WGAN,
    "wgan-gp": WGANGP,
}


def build_system(name: str, options: Mapping[str, Any]) -> System:
    """The system of this name. Raises ValueError where there is none, or no such option of it."""
    if name not in SYSTEMS:
        raise ValueError(f"there is no adversarial system called {name!r}; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name].model_validate(dict(options))
