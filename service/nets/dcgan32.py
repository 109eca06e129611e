"""DCGAN bodies for 32×32 images: Radford, Metz, Chintala, ICLR 2016 (arXiv 1511.06434), one stage shorter."""

from typing import Literal

from torch import Tensor, nn

from service.errors import InvalidManifest
from service.nets.latents import LatentDropout, Prior, shape_latents

LATENT = 100
WIDTH = 32
SIDE = 4
"""Of the smallest maps."""
Normalisation = Literal["batch", "layer", "none"]


def initialise_weights(net: nn.Module) -> None:
    """The paper's: filters from N(0, 0.02), scales from N(1, 0.02), no biases."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def _normalise(maps: int, normalisation: Normalisation) -> nn.Module:
    if normalisation == "batch":
        return nn.BatchNorm2d(maps)
    if normalisation == "layer":
        return nn.GroupNorm(1, maps)
    if normalisation == "none":
        return nn.Identity()
    raise InvalidManifest(f"There is no normalisation called {normalisation!r}; there are batch, layer and none.")


def encoder32(width: int, channels: int, normalisation: Normalisation = "batch") -> nn.Sequential:
    """The layers that look: images (n, channels, 32, 32) → maps (n, 4·width, 4, 4).

    A penalty on the gradient at each sample asks for "layer" or "none": batch normalisation mixes the samples.
    """
    free = normalisation != "batch"
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),  # (n, width, 16, 16)
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=free),  # (n, 2·width, 8, 8)
        _normalise(2 * width, normalisation),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=free),  # (n, 4·width, 4, 4)
        _normalise(4 * width, normalisation),
        nn.LeakyReLU(0.2),
    )


class DCGAN32Generator(nn.Module):
    """From noise to images: z (n, latent) of N(0, 1) → (n, channels, 32, 32) in [−1, 1]."""

    def __init__(
        self,
        *,
        latent: int = LATENT,
        width: int = WIDTH,
        channels: int = 3,
        prior: Prior = "normal",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.body = nn.Sequential(
            nn.ConvTranspose2d(latent, 4 * width, 4, bias=False),  # (n, 4·width, 4, 4)
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),  # (n, 2·width, 8, 8)
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),  # (n, width, 16, 16)
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.paint = nn.ConvTranspose2d(width, channels, 4, 2, 1)  # (n, channels, 32, 32)
        widths = (4 * width, 2 * width, width) if dropout else ()
        self.dropouts = nn.ModuleList(LatentDropout(latent, maps, share=dropout) for maps in widths)
        initialise_weights(self)

    def features(self, z: Tensor) -> Tensor:
        """The last hidden maps, (n, width, 16, 16)."""
        maps = shape_latents(z, self.prior)[:, :, None, None]
        for place, layer in enumerate(self.body):
            maps = layer(maps)
            if self.dropouts and isinstance(layer, nn.ReLU):
                maps = self.dropouts[place // 3](maps, z)
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        painted: Tensor = self.paint(maps)
        return painted.tanh()

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        return self.head(self.features(z))


class DCGAN32Discriminator(nn.Module):
    """From images to `outputs` numbers each: x (n, channels, 32, 32) → (n,) where that is one, else (n, outputs).

    The numbers are raw logits (or a critic's score): sigmoid or softmax, where there is one, belongs to the loss.
    """

    def __init__(
        self,
        *,
        width: int = WIDTH,
        channels: int = 3,
        normalisation: Normalisation = "batch",
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.body = encoder32(width, channels, normalisation)
        self.judge = nn.Conv2d(4 * width, outputs, SIDE)  # (n, outputs, 1, 1)
        initialise_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden maps, (n, 4·width, 4, 4)."""
        maps: Tensor = self.body(x)
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs)."""
        scores: Tensor = self.judge(maps).flatten(1)
        return scores.squeeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (n,) or (n, outputs)."""
        return self.head(self.features(x))
