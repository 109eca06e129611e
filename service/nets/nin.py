"""NIN: Lin, Chen, Yan, Network in network, ICLR 2014 (arXiv 1312.4400), with the sizes of the authors' own files."""

from collections.abc import Sequence

from torch import Tensor, nn

from service.errors import InvalidManifest
from service.nets.initialisation import initialise_kaiming, initialise_normal, initialised_as_published, scaled
from service.nets.layers import side_after

CIFAR = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192))
MNIST = ((5, 96, 64, 48), (5, 128, 96, 48), (5, 128, 96))
SVHN = ((5, 128, 96, 64), (5, 320, 256, 128), (5, 384, 256))
HEADS = ("average", "dense")


class NIN(nn.Module):
    """Images (n, 3, 32, 32) to logits (n, 10): three convolutions, each followed by two of 1×1, and no dense layer.

    `blocks` gives each block's kernel and its numbers of maps; the last block ends with one map a class. Its mean over
    the map is the class's score. `head` = "dense" puts a dense layer in the mean's place (section 4.6). The authors
    rectify the last maps too; `last_relu` = False does not, so that no class can fall silent.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        channels: int = 3,
        size: int = 32,
        blocks: Sequence[Sequence[int]] = CIFAR,
        width: float = 1.0,
        pool: Sequence[int] = (3, 2),
        dropout: float = 0.5,
        head: str = "average",
        last_relu: bool = True,
        batch_norm: bool = False,
        drawing: str = "paper",
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise InvalidManifest(f"nin has no head called {head!r}; it has {' and '.join(HEADS)}.")
        self.body = nn.Sequential()
        inputs, side = channels, size
        for place, (kernel, *maps) in enumerate(blocks, start=1):
            if place > 1:
                self.body.add_module(f"pool{place - 1}", nn.MaxPool2d(pool[0], pool[1], ceil_mode=True))
                self.body.add_module(f"dropout{place - 1}", nn.Dropout(dropout))
                side = side_after(side, pool[0], pool[1], ceil=True)
            for step, outputs in enumerate(scaled(count, width) for count in maps):
                size_here = kernel if step == 0 else 1
                self.body.add_module(
                    f"conv{place}" if step == 0 else f"cccp{place}_{step}",
                    nn.Conv2d(inputs, outputs, size_here, padding=size_here // 2),
                )
                if batch_norm:
                    self.body.add_module(f"norm{place}_{step}", nn.BatchNorm2d(outputs))
                self.body.add_module(f"relu{place}_{step}", nn.ReLU())
                inputs = outputs
        self.classes = nn.Conv2d(inputs, classes, 1)
        self.last = nn.ReLU() if last_relu else nn.Identity()
        self.average = nn.AdaptiveAvgPool2d(1) if head == "average" else None
        self.dense = nn.Linear(classes * side**2, classes) if head == "dense" else None
        if initialised_as_published(drawing):
            initialise_normal(self, 0.05)
        else:
            initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The maps before the classes' own, (n, 192, 8, 8)."""
        maps: Tensor = self.body(x)
        return maps

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        maps: Tensor = self.last(self.classes(features))  # (n, classes, 8, 8)
        logits: Tensor = self.dense(maps.flatten(1)) if self.average is None else self.average(maps).flatten(1)  # type: ignore[misc]
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))
