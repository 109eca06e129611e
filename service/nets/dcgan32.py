"""DCGAN bodies for 32×32 images: Radford, Metz, Chintala, ICLR 2016 (arXiv 1511.06434), one stage shorter."""

from torch import Tensor, nn

LATENT = 100
WIDTH = 32


def _draw_weights(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


class DCGAN32Generator(nn.Module):
    """From noise to images: z (n, latent) → (n, channels, 32, 32) in [−1, 1]."""

    def __init__(self, *, latent: int = LATENT, width: int = WIDTH, channels: int = 3) -> None:
        super().__init__()
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
        _draw_weights(self)

    def features(self, z: Tensor) -> Tensor:
        """The last hidden maps, (n, width, 16, 16)."""
        maps: Tensor = self.body(z[:, :, None, None])
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        painted: Tensor = self.paint(maps)
        return painted.tanh()

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        return self.head(self.features(z))


class DCGAN32Discriminator(nn.Module):
    """From images to one number each: x (n, channels, 32, 32) → (n,).

    The number is a raw logit (or a critic's score): the sigmoid, where there is one, belongs to the loss.
    """

    def __init__(self, *, width: int = WIDTH, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1),  # (n, width, 16, 16)
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),  # (n, 2·width, 8, 8)
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False),  # (n, 4·width, 4, 4)
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2),
        )
        self.judge = nn.Conv2d(4 * width, 1, 4)  # (n, 1, 1, 1)
        _draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden maps, (n, 4·width, 4, 4)."""
        maps: Tensor = self.body(x)
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """One logit an image, (n,)."""
        score: Tensor = self.judge(maps)
        return score.flatten()

    def forward(self, x: Tensor) -> Tensor:
        """One logit an image, (n,)."""
        return self.head(self.features(x))
