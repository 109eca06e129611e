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
        remark="Nets with an eighth of the parameters are far from knowing their images by heart after six epochs,"
        " where the standard net nearly does: what is compared is how soon narrow nets learn, at the standard net's"
        " rate. MobileNet has 32 to 1,024 maps in 28 layers and trains until nothing improves; its one point is that"
        " net's, and would need as long a training.",
    ),
    Claim(
        key="pool-first",
        title="Pooling before convolution",
        sentence="Pooling before a convolution instead of behind it divides its multiplications by the pool's area and"
        " leaves its parameters as they are, at the price of a representational bottleneck (Szegedy et al. 2016,"
        " section 5).",
        done="The same net with each 2×2 pool before its block of convolutions, and the standard net with half of the"
        " maps, which multiplies about as little. Six epochs.",
        trials={
            "pools behind": formed("standard"),
            "pools before": formed("standard", pool_first=True),
            "pools behind, half of the maps": formed("standard", width=0.125),
        },
        comparisons=(
            Comparison("pools behind", "pools before"),
            Comparison("pools before", "pools behind, half of the maps"),
        ),
        remark="The sentence has two halves: the first comparison is the price, the second what as few multiplications"
        " give when maps are saved instead of pixels. The pool in front of the first block takes away three quarters"
        " of a photograph's pixels here, where the paper's photographs are seven times as wide.",
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
        remark="As with separable convolutions, the nets that save most have learnt least of their training images in"
        " six epochs. Of the others the allowed point is about the standard error of three seeds: ten would decide.",
    ),
)
