"""MAD-GAN's generators: one trunk, last layers of their own (Ghosh et al., CVPR 2018, arXiv 1704.02906)."""

from torch import Tensor, nn
from torch.nn.functional import one_hot

from service.nets.dcgan32 import LATENT, WIDTH, initialise_weights
from service.nets.latents import choose


class DCGAN32Generators(nn.Module):
    """Several generators in one net: z (n, latent) of N(0, 1) → (n, channels, 32, 32) in [−1, 1].

    The last number of z chooses which of them paints (`latents.choose`), all equally likely; the trunk sees the others.
    """

    def __init__(self, *, latent: int = LATENT + 1, width: int = WIDTH, channels: int = 3, generators: int = 4) -> None:
        super().__init__()
        self.generators = generators
        self.trunk = nn.Sequential(
            nn.ConvTranspose2d(latent - 1, 4 * width, 4, bias=False),  # (n, 4·width, 4, 4)
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False),  # (n, 2·width, 8, 8)
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.own = nn.Sequential(
            nn.ConvTranspose2d(2 * width, generators * width, 4, 2, 1, bias=False),  # (n, generators·width, 16, 16)
            nn.BatchNorm2d(generators * width),
            nn.ReLU(),
        )
        self.paint = nn.ConvTranspose2d(generators * width, channels, 4, 2, 1)  # (n, channels, 32, 32)
        initialise_weights(self)

    def features(self, z: Tensor) -> Tensor:
        """The last hidden maps of every generator, (n, generators·width, 16, 16), zero but for the chosen one's."""
        maps: Tensor = self.own(self.trunk(z[:, :-1, None, None]))
        chosen = one_hot(choose(z, self.generators), self.generators).to(maps.dtype)  # (n, generators)
        return maps * chosen.repeat_interleave(maps.shape[1] // self.generators, dim=1)[:, :, None, None]

    def head(self, maps: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        painted: Tensor = self.paint(maps)
        return painted.tanh()

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, channels, 32, 32) in [−1, 1]."""
        return self.head(self.features(z))
