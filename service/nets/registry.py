"""Every net, by its name in manifests."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from service.errors import InvalidManifest
from service.nets.dcgan32 import DCGAN32Discriminator, DCGAN32Generator
from service.nets.lenet5 import LeNet5

NETS: dict[str, type[nn.Module]] = {
    "dcgan32-discriminator": DCGAN32Discriminator,
    "dcgan32-generator": DCGAN32Generator,
    "lenet5": LeNet5,
}


def build_net(name: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A freshly drawn net. Raises InvalidManifest where there is no such net or no such option of it."""
    if name not in NETS:
        raise InvalidManifest(f"There is no net called {name!r}; there are {', '.join(NETS)}.")
    try:
        return NETS[name](**dict(options or {}))
    except TypeError as error:
        raise InvalidManifest(f"{name}: {error}") from error
