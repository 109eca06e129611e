"""AlexNet: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional networks, NIPS 2012."""

from collections.abc import Sequence

from torch import Tensor, nn

from service.nets.activations import build_activation
from service.nets.initialisation import initialise_kaiming, initialise_normal, initialised_as_published
from service.nets.layers import side_after
from service.nets.normalisation import ResponseNorm


class AlexNet(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000), as the paper's two devices computed them.

    `groups` = 2 divides conv2, conv4 and conv5 as the two devices did; conv3 and the dense layers see both. `stem` is
    kernel, stride and padding of conv1 (224 padded by 2 is the paper's 227), `pool` kernel and stride of each pool.
    For CIFAR-10, an adaptation: size 32, stem (5, 1, 2) and half the widths.
    """

    def __init__(
        self,
        *,
        classes: int = 1000,
        channels: int = 3,
        size: int = 224,
        stem: Sequence[int] = (11, 4, 2),
        widths: Sequence[int] = (96, 256, 384, 384, 256),
        dense: Sequence[int] = (4096, 4096),
        groups: int = 2,
        pool: Sequence[int] = (3, 2),
        lrn: bool = True,
        lrn_k: float = 2.0,
        lrn_alpha: float = 1e-4,
        dropout: float = 0.5,
        activation: str = "relu",
        drawing: str = "paper",
    ) -> None:
        super().__init__()
        kernel, stride, padding = stem
        a, b, c, d, e = widths
        self.conv1 = nn.Conv2d(channels, a, kernel, stride, padding)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.conv4 = nn.Conv2d(c, d, 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(d, e, 3, padding=1, groups=groups)
        self.norm1 = ResponseNorm(k=lrn_k, alpha=lrn_alpha) if lrn else nn.Identity()
        self.norm2 = ResponseNorm(k=lrn_k, alpha=lrn_alpha) if lrn else nn.Identity()
        self.pool1, self.pool2, self.pool5 = (nn.MaxPool2d(pool[0], pool[1]) for _ in range(3))
        side = side_after(size, kernel, stride, padding)
        for _ in range(3):
            side = side_after(side, *pool)
        self.fc6 = nn.Linear(e * side**2, dense[0])
        self.fc7 = nn.Linear(dense[0], dense[1])
        self.fc8 = nn.Linear(dense[1], classes)
        self.activation = build_activation(activation)
        self.dropout = nn.Dropout(dropout)
        if initialised_as_published(drawing):
            initialise_normal(self, 0.01)
            for layer in (self.conv2, self.conv4, self.conv5, self.fc6, self.fc7):
                nn.init.ones_(layer.bias)  # type: ignore[arg-type] # made with a bias
        else:
            initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """fc7, (n, 4096)."""
        x = self.pool1(self.norm1(self.activation(self.conv1(x))))  # (n, 96, 27, 27)
        x = self.pool2(self.norm2(self.activation(self.conv2(x))))  # (n, 256, 13, 13)
        x = self.activation(self.conv3(x))  # (n, 384, 13, 13)
        x = self.activation(self.conv4(x))  # (n, 384, 13, 13)
        x = self.pool5(self.activation(self.conv5(x)))  # (n, 256, 6, 6)
        x = self.dropout(self.activation(self.fc6(x.flatten(1))))  # (n, 4096)
        hidden: Tensor = self.dropout(self.activation(self.fc7(x)))  # (n, 4096)
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.fc8(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
