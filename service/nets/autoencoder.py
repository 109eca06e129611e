"""EBGAN's discriminator: an auto-encoder on DCGAN's bodies (Zhao, Mathieu, LeCun, ICLR 2017, arXiv 1609.03126)."""

from torch import Tensor, nn

from service.nets.dcgan32 import WIDTH, encoder32, initialise_weights


class DCGAN32AutoEncoder(nn.Module):
    """From images to what is remembered of them: x (n, channels, 32, 32) → (n, channels, 32, 32), unbounded."""

    def __init__(self, *, width: int = WIDTH, channels: int = 3) -> None:
        super().__init__()
        self.encode = encoder32(width, channels)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),  # (n, 2·width, 8, 8)
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),  # (n, width, 16, 16)
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(width, channels, 4, 2, 1),  # (n, channels, 32, 32)
        )
        initialise_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """The code, (n, 4·width, 4, 4)."""
        code: Tensor = self.encode(x)
        return code

    def head(self, code: Tensor) -> Tensor:
        """The images again, (n, channels, 32, 32)."""
        images: Tensor = self.decode(code)
        return images

    def forward(self, x: Tensor) -> Tensor:
        """The images again, (n, channels, 32, 32)."""
        return self.head(self.features(x))
