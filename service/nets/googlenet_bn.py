"""The GoogLeNet of torchvision (TF-slim's Inception v1): Ioffe, Szegedy, Batch normalization, ICML 2015.

arXiv 1502.03167. Batch normalisation in the place of local response normalisation, and 3×3 in the place of 5×5
(github.com/pytorch/vision/issues/906): not the net of 2014, so it has a name of its own.
"""

from service.nets.googlenet import GoogLeNet


class GoogLeNetBN(GoogLeNet):
    """Images (n, 3, 224, 224) to logits (n, 1000)."""

    def __init__(
        self, *, classes: int = 1000, auxiliary: bool = False, dropout: float = 0.2, auxiliary_dropout: float = 0.7
    ) -> None:
        super().__init__(
            classes=classes,
            lrn=False,
            largest=3,
            last_pool=2,
            batch_norm=True,
            auxiliary=auxiliary,
            dropout=dropout,
            auxiliary_dropout=auxiliary_dropout,
            drawing="kaiming",
        )
