"""The sentences of chapter 5 that training can decide."""

from typing import Any

from experiments.claims.chapter4 import vgg
from experiments.claims.claim import Claim, Comparison
from experiments.claims.trial import Trial


def formed(convolution: str, **options: Any) -> Trial:
    """A narrow VGG B with batch normalisation whose 3×3 have this form, after six epochs."""
    if convolution != "standard":
        options["convolution"] = convolution
    return Trial(**vgg("B", epochs=6, batch_norm=True, **options))


CLAIMS = (
    Claim(
        key="separable",
        title="Separable convolution",
        sentence="A convolution factorised into a spatial and a pointwise part needs an eighth to a ninth of the"
        " parameters and multiplications and loses about one point (Howard et al. 2017, table 4).",
        done="A narrow VGG B with batch normalisation, its 3×3 factorised both ways: depthwise, H·W·C + C·K"
        " (MobileNet), and as K filters of rank one, (H·W + C)·K (Sironi et al. 2015, the notes' formula);"
        " and the standard net with so few maps that it costs as little. Six epochs.",
        trials={
            "standard": formed("standard"),
            "depthwise, H·W·C + C·K": formed("depthwise"),
            "rank one, (H·W + C)·K": formed("rank-one"),
            "standard, fewer maps": formed("standard", width=0.0875),
        },
        comparisons=(
            Comparison("depthwise, H·W·C + C·K", "standard", allowed=1.1),
            Comparison("rank one, (H·W + C)·K", "standard", allowed=1.1),
            Comparison("depthwise, H·W·C + C·K", "standard, fewer maps"),
            Comparison("rank one, (H·W + C)·K", "standard, fewer maps"),
            Comparison("depthwise, H·W·C + C·K", "rank one, (H·W + C)·K"),
        ),
    ),
    Claim(
        key="other-savings",
        title="Groups, bottlenecks, asymmetric kernels",
        sentence="Grouped convolutions, 1×1 bottlenecks and K×1 followed by 1×K save parameters at little loss.",
        done="The same net with two groups, with a 1×1 to a quarter of the maps before each 3×3, and with 3×1 and 1×3.",
        trials={
            "standard": formed("standard"),
            "two groups": formed("grouped"),
            "bottleneck": formed("bottleneck"),
            "3×1 and 1×3": formed("asymmetric"),
        },
        comparisons=(
            Comparison("two groups", "standard", allowed=1.0),
            Comparison("bottleneck", "standard", allowed=1.0),
            Comparison("3×1 and 1×3", "standard", allowed=1.0),
        ),
    ),
)
