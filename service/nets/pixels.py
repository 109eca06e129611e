"""No net: the pixels themselves, the plainest features that there are."""

from torch import Tensor, nn


class Pixels(nn.Module):
    """Images (n, C, H, W) of any one size, their pixels in [0, 1]."""

    def features(self, x: Tensor) -> Tensor:
        """The pixels row by row, their channels side by side: (n, H·W·C)."""
        return x.permute(0, 2, 3, 1).flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Pixels tell no classes: (n, 0)."""
        return features[:, :0]

    def forward(self, x: Tensor) -> Tensor:
        """As `head`."""
        return self.head(self.features(x))
