"""How a classifier sees a picture: image files to maps, filters, and what in the pixels made them answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.store import ImageInput, Manifest
from service.tasks.classify import Prepared, images_example, read_image
from service.tasks.methods import Method
from service.tasks.pauses import Pauses

if TYPE_CHECKING:
    from torch import Tensor, nn

PAUSES: dict[Method, Pauses] = {
    "deconvnet": "by itself",
    "guided": "by itself",
    "occlusion": "between layers",
}


@dataclass(frozen=True, slots=True)
class Explain:
    """Images uint8 (n, H, W, C) to what `method` answers, of the images in turn.

    * deconvnet, guided: projections (n, U, C, H, W), units (n, U), strengths (n, U) of the layer's strongest maps
    * occlusion: log-odds and probabilities of the label (n, h, w) behind each place of the square, its index (n,), its
      log-odds and its probability (n,) in the whole image, the side of the square (n,)
    * saliency: changes of the label's logit (n, H, W), its index (n,), its probability (n,)
    * activations: the layer's maps (n, K, h, w), and which units these are (n, K)
    * filters: its kernels (n, K, C, kh, kw), whatever the image, and which units these are (n, K)

    `label` is the likeliest unless one is given, `layer` that of `usual_layer` unless named; `unit` leaves one map, or
    one filter, of the layer; `square` is the side in pixels of what occludes; `temperature` is that of the model's
    card, so that probabilities are those of `/classify`.
    """

    method: Method = "saliency"
    layer: str = ""
    unit: int = -1
    label: int = -1
    square: int = 0
    temperature: float = 1.0

    exact = False
    any_length = False
    warmed = False
    price = 16

    @property
    def pauses(self) -> Pauses:
        """Nowhere for one pass; between layers where many images are forwarded and nothing listens to the layers."""
        return PAUSES.get(self.method, "never")

    def serves(self, manifest: Manifest) -> bool:
        """Any classifier."""
        return manifest.task == "classify"

    def prepare(self, data: bytes, spec: ImageInput, *, limit_pixels: int, as_is: bool = False) -> Prepared:
        """One image file as stored pixels, and what was done to it, with pictures. Raises UnreadableImage."""
        return read_image(data, spec, limit_pixels=limit_pixels, as_is=as_is, shown=True)

    def example(self, manifest: Manifest, rows: int) -> Sequence[tuple[tuple[int, ...], str]]:
        """One array of stored pixels."""
        return images_example(manifest, rows)

    def forward(self, net: "nn.Module", tensors: Sequence["Tensor"], manifest: Manifest) -> Sequence["Tensor"]:
        """What the method answers. Raises InvalidRequest for a layer, unit or label that there is not."""
        from service.tasks import explaining  # only an engine comes here, and only engines have torch

        return explaining.answer(self.method, self, net, tensors[0], manifest)
