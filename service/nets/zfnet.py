"""ZFNet: Zeiler, Fergus, Visualizing and understanding convolutional networks, ECCV 2014 (arXiv 1311.2901)."""

from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.initialisation import initialise_kaiming, initialise_normal, initialised_as_published
from service.nets.layers import side_after
from service.nets.normalisation import ResponseNorm


class ZFNet(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000): figure 3, AlexNet with finer first layers and no groups.

    `stem` and `second` are kernel, stride and padding of conv1 and conv2. The net of 512, 1,024 and 512 maps (table 3)
    is `widths` = (96, 256, 512, 1024, 512). For CIFAR-10, an adaptation: stride 1 in both, half the widths, and pools
    that round down.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        channels: int = 3,
        size: int = 224,
        stem: Sequence[int] = (7, 2, 1),
        second: Sequence[int] = (5, 2, 0),
        widths: Sequence[int] = (96, 256, 384, 384, 256),
        dense: Sequence[int] = (4096, 4096),
        ceil: bool = True,
        norm: bool = True,
        dropout: float = 0.5,
        drawing: str = "paper",
    ) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.conv1 = nn.Conv2d(channels, a, stem[0], stem[1], stem[2])
        self.conv2 = nn.Conv2d(a, b, second[0], second[1], second[2])
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1)
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(3, 2, ceil_mode=ceil) for _ in range(3))
        self.norm1 = ResponseNorm() if norm else nn.Identity()
        self.norm2 = ResponseNorm() if norm else nn.Identity()
        side = side_after(side_after(size, *stem), 3, 2, ceil=ceil)
        side = side_after(side_after(side, *second), 3, 2, ceil=ceil)
        side = side_after(side, 3, 2, ceil=ceil)
        self.fc6 = nn.Linear(e * side**2, dense[0])
        self.fc7 = nn.Linear(dense[0], dense[1])
        self.fc8 = nn.Linear(dense[1], classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        if initialised_as_published(drawing):
            initialise_normal(self, 0.01)
        else:
            initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """fc7, (n, 4096)."""
        x = self.norm1(self.pool1(self.relu(self.conv1(x))))  # (n, 96, 55, 55)
        x = self.norm2(self.pool2(self.relu(self.conv2(x))))  # (n, 256, 13, 13)
        x = self.relu(self.conv3(x))  # (n, 384, 13, 13)
        x = self.relu(self.conv4(x))  # (n, 384, 13, 13)
        x = self.pool5(self.relu(self.conv5(x)))  # (n, 256, 6, 6)
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))  # (n, 4096)
        hidden: Tensor = self.dropout(self.relu(self.fc7(x)))  # (n, 4096)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.fc8(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
