"""What a classifier sees in an image: the vectors on which sets of images are compared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.store import Manifest
from service.tasks.classify import images_example, normalise

if TYPE_CHECKING:
    from torch import Tensor, nn


class Features:
    """Images uint8 (n, H, W, C) to features float32 (n, d) and probabilities float32 (n, classes)."""

    exact = True
    any_length = False
    warmed = True

    def serves(self, manifest: Manifest) -> bool:
        """Any classifier."""
        return manifest.task == "classify"

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """The last hidden vector, of maps their means, and the softmax of what the head makes of it."""
        assert manifest.input is not None
        hidden: Tensor = net.features(normalise(tensors[0], manifest.input))  # type: ignore[operator]
        logits: Tensor = net.head(hidden)  # type: ignore[operator]
        vectors = hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.flatten(1)
        return [vectors.float(), logits.float().softmax(dim=1)]

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of stored pixels."""
        return images_example(manifest, rows)
