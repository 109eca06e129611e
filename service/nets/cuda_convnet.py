"""The four-layer net for CIFAR-10 of Krizhevsky, Sutskever, Hinton, NIPS 2012, figure 1; its files: cuda-convnet."""

from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.activations import build_activation
from service.nets.initialisation import initialise_normal
from service.nets.layers import side_after


class CudaConvNet(nn.Module):
    """Images (n, 3, 32, 32) to logits (n, 10) through three convolutions of 5×5 and a dense layer.

    The sizes are those of cuda-convnet's `layers-18pct`, without its response normalisation and with all pools those of
    the maximum; `std` is that of the drawing in the paper's section 5, for centred pixels of 0 to 255.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        channels: int = 3,
        size: int = 32,
        maps: Sequence[int] = (32, 32, 64),
        activation: str = "relu",
        std: float = 0.01,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential()
        inputs, side = channels, size
        for place, outputs in enumerate(maps, start=1):
            self.body.add_module(f"conv{place}", nn.Conv2d(inputs, outputs, 5, padding=2))
            self.body.add_module(f"{activation}{place}", build_activation(activation))
            self.body.add_module(f"pool{place}", nn.MaxPool2d(3, 2, ceil_mode=True))
            inputs, side = outputs, side_after(side, 3, 2, ceil=True)
        self.output = nn.Linear(inputs * side**2, classes)
        initialise_normal(self, std)

    def features(self, x: Tensor) -> Tensor:
        """The last pool, (n, 64·4·4)."""
        maps: Tensor = self.body(x)  # (n, 64, 4, 4)
        return maps.flatten(1)

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.output(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
