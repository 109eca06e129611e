"""The AlexNet of torchvision: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014.

arXiv 1404.5997. One column, no normalisation, dropout before the dense layers: not the net of 2012, so it has a
name of its own.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.initialisation import initialise_kaiming
from service.nets.layers import side_after


class AlexNetOWT(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000)."""

    def __init__(
        self, *, classes: int = 1000, size: int = 224, dense: Sequence[int] = (4096, 4096), dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 11, 4, 2)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(3, 2) for _ in range(3))
        side = side_after(size, 11, 4, 2)
        for _ in range(3):
            side = side_after(side, 3, 2)
        self.fc6 = nn.Linear(256 * side**2, dense[0])
        self.fc7 = nn.Linear(dense[0], dense[1])
        self.fc8 = nn.Linear(dense[1], classes)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """fc7, (n, 4096)."""
        x = self.pool1(self.activation(self.conv1(x)))  # (n, 64, 27, 27)
        x = self.pool2(self.activation(self.conv2(x)))  # (n, 192, 13, 13)
        x = self.activation(self.conv3(x))  # (n, 384, 13, 13)
        x = self.activation(self.conv4(x))  # (n, 256, 13, 13)
        x = self.pool5(self.activation(self.conv5(x)))  # (n, 256, 6, 6)
        x = self.activation(self.fc6(self.dropout(x.flatten(1))))  # (n, 4096)
        hidden: Tensor = self.activation(self.fc7(self.dropout(x)))  # (n, 4096)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.fc8(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
