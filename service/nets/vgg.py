"""VGG: Simonyan, Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015.

arXiv 1409.1556, table 1.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from service.errors import InvalidManifest
from service.nets.convolutions import Shape, build_convolution
from service.nets.initialisation import initialise_kaiming, initialise_normal, initialised_as_published, scaled
from service.nets.normalisation import ResponseNorm

MAPS = (64, 128, 256, 512, 512)
KERNELS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
"""The kernels of each block's convolutions, by the paper's letters."""


class VGG(nn.Module):
    """Images (n, 3, 224, 224) to logits (n, 1000) through 11 to 19 layers with weights.

    `merged_pairs` puts one 5×5 in the place of each block's first two 3×3 (section 4.1), `convolution` another form of
    chapter 5 in the place of each 3×3, `pool_first` each pool before its block, which quarters the multiplications and
    leaves the parameters as they are. `std` is that of the paper's drawing. For CIFAR-10, an adaptation: size 32, a
    smaller `width` and smaller `dense` layers or none; `batch_norm` is younger than the paper.
    """

    def __init__(
        self,
        *,
        configuration: str = "D",
        classes: int = 1000,
        channels: int = 3,
        size: int = 224,
        width: float = 1.0,
        dense: Sequence[int] = (4096, 4096),
        dropout: float = 0.5,
        batch_norm: bool = False,
        convolution: str = "standard",
        merged_pairs: bool = False,
        pool_first: bool = False,
        drawing: str = "paper",
        std: float = 0.1,
    ) -> None:
        super().__init__()
        if configuration not in KERNELS:
            raise InvalidManifest(f"vgg has no configuration {configuration!r}; it has {', '.join(KERNELS)}.")
        self.body = nn.Sequential()
        inputs = channels
        for block, (maps, kernels) in enumerate(zip(MAPS, KERNELS[configuration], strict=True), start=1):
            outputs = scaled(maps, width)
            own = tuple(_merged(kernels)) if merged_pairs else kernels
            layers = dict(_convolutions(block, own, inputs, outputs, convolution, batch_norm=batch_norm))
            if block == 1 and configuration == "A-LRN":
                layers["lrn1"] = ResponseNorm()
            pool: dict[str, nn.Module] = {f"pool{block}": nn.MaxPool2d(2)}
            for name, layer in (pool | layers if pool_first else layers | pool).items():
                self.body.add_module(name, layer)
            inputs = outputs
        units = inputs * (size // 2 ** len(MAPS)) ** 2
        self.dense = nn.Sequential()
        for place, count in enumerate(dense, start=6):
            self.dense.add_module(f"fc{place}", nn.Linear(units, count))
            self.dense.add_module(f"relu{place}", nn.ReLU())
            self.dense.add_module(f"dropout{place}", nn.Dropout(dropout))
            units = count
        self.fc8 = nn.Linear(units, classes)
        if initialised_as_published(drawing):
            initialise_normal(self, std)  # a variance of 10⁻², section 3.1
        else:
            initialise_kaiming(self)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer: fc7 (n, 4096), or the last pool where there is no dense layer."""
        maps: Tensor = self.body(x)  # (n, 512, 7, 7)
        hidden: Tensor = self.dense(maps.flatten(1))
        return hidden

    def head(self, features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.fc8(features)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))


def _convolutions(
    block: int, kernels: Sequence[int], inputs: int, outputs: int, form: str, *, batch_norm: bool
) -> Iterator[tuple[str, nn.Module]]:
    """A block's convolutions by name, each rectified; those that look further than a pixel have this form."""
    for step, kernel in enumerate(kernels, start=1):
        layer = Shape(inputs, outputs, kernel, padding=kernel // 2)
        yield f"conv{block}_{step}", build_convolution(form if kernel > 1 else "standard", layer)
        if batch_norm:
            yield f"norm{block}_{step}", nn.BatchNorm2d(outputs)
        yield f"relu{block}_{step}", nn.ReLU()
        inputs = outputs


def _merged(kernels: tuple[int, ...]) -> Iterator[int]:
    """One 5 for two 3s at the block's beginning."""
    yield from ((5, *kernels[2:]) if kernels[:2] == (3, 3) else kernels)
