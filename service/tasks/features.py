"""What a net sees in an image: the vectors on which sets of images are compared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.resampling import RESAMPLINGS, weights
from service.store import ImageInput, Manifest
from service.tasks.classify import images_example, normalise
from service.tasks.pauses import Pauses

if TYPE_CHECKING:
    from torch import Tensor, nn

AT_ANY_SIZE = "features-at-any-size"
"""The verb of FeaturesAtAnySize."""


class Features:
    """Images of the model's size (n, H, W, C) to features float32 (n, d) and probabilities float32 (n, classes).

    Pixels are uint8, or float32 of 0 to 255 where the manifest resamples them without rounding. An extractor that has
    no classes answers with none.
    """

    exact = True
    any_length = False
    warmed = True
    pauses: Pauses = "between layers"
    price = 1

    def serves(self, manifest: Manifest) -> bool:
        """Any classifier or extractor that has features, and a size of its own."""
        return manifest.shows_features and (manifest.input is None or manifest.input.resample != "as-sent")

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """The last hidden vector, of maps their means, and the softmax of what the head makes of it."""
        assert manifest.input is not None
        return seen(net, normalise(tensors[0], manifest.input))

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of pixels, resized already."""
        assert manifest.input is not None
        [(shape, _)] = images_example(manifest, rows)
        return [(shape, "uint8" if manifest.input.in_whole_pixels else "float32")]


class FeaturesAtAnySize:
    """The same of stored pixels uint8 (n, H, W, C) of any one size, which are resampled on the device."""

    exact = True
    any_length = True
    warmed = False
    pauses: Pauses = "between layers"
    price = 1

    def serves(self, manifest: Manifest) -> bool:
        """Any model whose images keep their size until they are resampled, if they are."""
        return manifest.shows_features and manifest.input is not None and not manifest.input.in_whole_pixels

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """As Features, after resampling."""
        assert manifest.input is not None
        return seen(net, normalise(resampled(tensors[0], manifest.input), manifest.input))

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of stored pixels."""
        return images_example(manifest, rows)


def resampled(images: "Tensor", spec: ImageInput) -> "Tensor":
    """Stored pixels (n, H, W, C) as float32 of 0 to 255 in the size of `spec`, as `resampling.resample` makes them."""
    if spec.resample == "as-sent":
        return images
    x = images.permute(0, 3, 1, 2).float()
    if x.shape[2:] != spec.size:
        rows, columns = (
            x.new_tensor(weights(spec.resample, source, target))
            for source, target in zip(x.shape[2:], spec.size, strict=True)
        )
        x = rows @ x @ columns.T  # (n, C, height, width)
        if RESAMPLINGS[spec.resample].overshoots:
            x = x.clamp_(0.0, 255.0)
    return x.permute(0, 2, 3, 1)


def seen(net: "nn.Module", x: "Tensor") -> Sequence["Tensor"]:
    """Features (n, d) and probabilities (n, classes) of what a net makes of its input."""
    hidden: Tensor
    logits: Tensor
    if hasattr(net, "see"):  # both come of one pass
        hidden, logits = net.see(x)  # type: ignore[operator]
    else:
        hidden = net.features(x)  # type: ignore[operator]
        logits = net.head(hidden)  # type: ignore[operator]
    vectors = hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.flatten(1)
    return [vectors.float(), logits.float().softmax(dim=1)]
