"""The sentences of chapter 5 that training can decide."""

from typing import Any

from experiments.claims.chapter4 import SGD, vgg
from experiments.claims.claim import Claim, Comparison
from experiments.claims.trial import Data, Trial

TRIED, LONG = 3, 20
"""Epochs for which a recipe is tried, and of trainings four times as long as those they stand beside."""
ADAM: dict[str, Any] = {"batch": 64, "warm_up": 0.05, "precision": "bfloat16", "channels_last": True}
RECIPES: dict[str, dict[str, Any]] = {
    "SGD at 0.03": {**SGD, "rate": 0.03},
    "SGD at 0.1": {**SGD, "rate": 0.1},
    "Adam at 0.002": {**ADAM, "rate": 0.002},
    "Adam at 0.008": {**ADAM, "rate": 0.008},
}
BEST = "Adam at 0.008"
"""That with which depthwise convolutions have the least training error."""


def formed(convolution: str, **options: Any) -> Trial:
    """A narrow VGG B with batch normalisation whose 3×3 have this form, after six epochs."""
    if convolution != "standard":
        options["convolution"] = convolution
    return Trial(**vgg("B", epochs=6, batch_norm=True, **options))


def mobilenet(convolution: str, *, width: float = 0.25, recipe: str = BEST, epochs: int = 5) -> Trial:
    """A narrow MobileNet whose thirteen blocks have this form, on 5,000 images of 16×16."""
    options = {
        "classes": 10,
        "width": width,
        "stem_stride": 1,
        "strides": [1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1],
        "convolution": convolution,
    }
    return Trial("mobilenet", options, {**RECIPES[recipe], "epochs": epochs}, Data(images=5_000, side=16))


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
        " net's. Whether more epochs alone bring a narrow net nearer is measured at MobileNet's depth, in the next"
        " section: hardly.",
    ),
    Claim(
        key="separable-deep",
        title="Separable convolution at MobileNet's depth",
        sentence="In MobileNet depthwise separable convolutions instead of standard ones cost 1.1 points (Howard et al."
        " 2017, table 4: 70.6 % against 71.7 % of ImageNet).",
        done="MobileNet's thirteen blocks at a quarter of its maps, with its pairs of a depthwise and a pointwise"
        " convolution and with standard ones (the paper's own comparison), and the standard net with so few maps that"
        " it has as many parameters and multiplies as often as the depthwise one. 5,000 images of 16×16 (no stride in"
        f" the stem, three later), five epochs; and {LONG} epochs of the same, one seed each, to see whether the gap"
        " closes with the length. Four recipes were tried on the depthwise net for three epochs; all nets have the one"
        " with which it had the least training error.",
        trials={
            "standard": mobilenet("standard"),
            "depthwise": mobilenet("depthwise"),
            "standard, fewer maps": mobilenet("standard", width=0.0875),
        },
        comparisons=(
            Comparison("depthwise", "standard", allowed=1.1),
            Comparison("depthwise", "standard, fewer maps"),
        ),
        further={
            f"standard, {LONG} epochs": mobilenet("standard", epochs=LONG),
            f"depthwise, {LONG} epochs": mobilenet("depthwise", epochs=LONG),
            f"standard, fewer maps, {LONG} epochs": mobilenet("standard", width=0.0875, epochs=LONG),
        },
        tuning={f"depthwise, {recipe}": mobilenet("depthwise", recipe=recipe, epochs=TRIED) for recipe in RECIPES},
        remark="It is not the length alone that limits it, though five epochs of 5,000 images are 395 steps, after"
        " which the depthwise net names three fifths of its training images wrongly. After 20 epochs it names 7 % of"
        " them wrongly, and the standard nets 0.1 and 3.4 %; on the test images it is still 15.9 points behind the one"
        " of its width and 9.8 behind the one of its cost, where five epochs leave 17.1 and 11.6. The longer trainings"
        " have one seed each, for which there was time, and so no verdict; but even the smaller gap is six times the"
        " largest deviation of the short ones. All three nets nearly know their images by heart, and what the depthwise"
        " one has learnt of them carries over least. What limits it now may be so few and small images, never altered,"
        " so few maps, or the recipe: the highest rate of Adam that was tried was the best, so that a better one may"
        " lie above it. The paper's one point is that of 1.2 million photographs. Filters of rank one were not tried at"
        " this depth.",
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
