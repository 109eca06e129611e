"""The sentences of chapter 4 that training can decide."""

from typing import Any

from experiments.claims.claim import Claim, Comparison, epochs_to_goal
from experiments.claims.trial import Data, Raw, Trial

SGD: dict[str, Any] = {
    "batch": 64,
    "optimiser": "sgd",
    "rate": 0.02,
    "schedule": "one-cycle",
    "warm_up": 0.2,
    "weight_decay": 5e-4,
    "clip": 2.0,
    "precision": "bfloat16",
    "channels_last": True,
}
RATES = {"ReLU": (0.0005, 0.001, 0.002, 0.004), "tanh": (0.002, 0.004, 0.008, 0.016, 0.032)}
TRIED, LONGEST = 12, 40
"""Epochs for which a rate is tried, and for which one is trained that does not come to the goal."""
BEST = {"ReLU": (0.001,), "tanh": (0.032, 0.016)}
"""Those with the least training error; two where they differ by less than a point."""
HALF_SIDE = Data(side=16)

ALEXNET: dict[str, Any] = {
    "classes": 10,
    "size": 32,
    "stem": [4, 1, 1],
    "widths": [32, 64, 96, 96, 64],
    "dense": [128, 128],
    "lrn": False,
    "dropout": 0.0,
    "drawing": "kaiming",
}
"""A stem that leaves 31 pixels, so that pools of 3 and of 2 both make 15, 7 and 3 of them, as 55 becomes 27."""


def alexnet(**options: Any) -> Trial:
    """A narrow AlexNet after eight epochs."""
    return Trial("alexnet", {**ALEXNET, **options}, {**SGD, "epochs": 8})


def vgg(configuration: str, *, epochs: int = 8, width: float = 0.25, **options: Any) -> dict[str, Any]:
    """The arguments of a trial of a narrow VGG."""
    return {
        "net": "vgg",
        "options": {
            "configuration": configuration,
            "classes": 10,
            "size": 32,
            "width": width,
            "dense": [],
            "drawing": "kaiming",
            **options,
        },
        "recipe": {**SGD, "rate": 0.03, "epochs": epochs},
    }


def augmented(augmentation: dict[str, Any]) -> Trial:
    """A narrow VGG A after forty epochs of a few images changed like this."""
    given = vgg("A", epochs=40)
    recipe = {**given["recipe"], "augmentation": augmentation}
    return Trial(**{**given, "recipe": recipe, "data": Data(images=4_000)})


STD = 0.055
"""The paper's 0.01 would be 0.028 on layers an eighth as wide; with that, and up to 0.04, not even A starts in so short
a training. With this one A does."""
DENSE = {"dense": [128, 128], "dropout": 0.0}
SHARED = ("body.conv1_1", "body.conv2_1", "body.conv3_1", "body.conv3_2", "dense.fc6", "dense.fc7", "fc8")


def deep(configuration: str, start: str) -> Trial:
    """A VGG of an eighth of the maps, drawn one way or another, or begun from A."""
    drawing = {"drawing": "kaiming"} if start == "kaiming" else {"drawing": "paper", "std": STD}
    given = vgg(configuration, epochs=6, width=0.125, **DENSE, **drawing)
    if start != "A":
        return Trial(**given)
    return Trial(**given, after=deep("A", "kaiming"), layers=SHARED)


def nin(**options: Any) -> Trial:
    """Half of NIN's maps on images of 16×16 after eight epochs."""
    fixed = {"size": 16, "width": 0.5, "dropout": 0.2, "last_relu": False, "drawing": "kaiming"}
    return Trial("nin", {**fixed, **options}, {**SGD, "rate": 0.04, "epochs": 8}, HALF_SIDE)


def googlenet(auxiliary: float = 0.0, **options: Any) -> Trial:
    """A quarter of GoogLeNet's maps after six epochs."""
    fixed = {
        "classes": 10,
        "size": 32,
        "width": 0.25,
        "stem": [3, 1, 1],
        "stem_pools": [2, 2],
        "lrn": False,
        "drawing": "kaiming",
    }
    return Trial("googlenet", {**fixed, **options}, {**SGD, "epochs": 6, "auxiliary": auxiliary})


def four_layers(activation: str, rate: float, *, epochs: int = LONGEST) -> Trial:
    """Krizhevsky's net without any regularisation at a constant rate, until a quarter of the images is wrong."""
    recipe = {
        "batch": 64,
        "optimiser": "sgd",
        "rate": rate,
        "epochs": epochs,
        "schedule": "steps",
        "steps": [1.0],
        "precision": "bfloat16",
        "channels_last": True,
    }
    options = {"size": 16, "activation": activation}
    return Trial("cuda-convnet", options, recipe, Raw(images=5_000, side=16), curve=True)


def dropped(share: float) -> Trial:
    """A narrow AlexNet with wide dense layers, trained long on few images."""
    options = {**ALEXNET, "dense": [512, 512], "dropout": share}
    return Trial("alexnet", options, {**SGD, "epochs": 25}, Data(images=4_000))


ADAM: dict[str, Any] = {"batch": 64, "rate": 2e-3, "warm_up": 0.05, "epochs": 10}
DIGITS = Data("mnist", side=28, pad=2)

CLAIMS = (
    Claim(
        key="weight-sharing",
        title="Convolution shares weights",
        sentence="Local receptive fields, shared weights and sub-sampling give LeNet-5 a better answer than dense"
        " layers with as many parameters (LeCun et al. 1998, section II).",
        done="LeNet-5 as published and a perceptron with one hidden layer of about as many parameters (58 units on"
        " the digits, 20 on the photographs), both with Adam, ten epochs of 10,000 images.",
        trials={
            "LeNet-5, digits": Trial("lenet5", {}, {**ADAM, "loss": "map"}, DIGITS),
            "perceptron, digits": Trial("mlp", {"inputs": 32 * 32, "hidden": [58]}, ADAM, DIGITS),
            "LeNet-5, photographs": Trial("lenet5", {"channels": 3}, {**ADAM, "loss": "map"}),
            "perceptron, photographs": Trial("mlp", {"inputs": 3 * 32 * 32, "hidden": [20]}, ADAM),
        },
        comparisons=(
            Comparison("LeNet-5, digits", "perceptron, digits"),
            Comparison("LeNet-5, photographs", "perceptron, photographs"),
        ),
    ),
    Claim(
        key="relu",
        title="ReLU learns faster than tanh",
        sentence="A four-layer convolutional net with ReLU reaches 25 % training error on CIFAR-10 six times faster"
        " than the same net with tanh (Krizhevsky et al. 2012, figure 1).",
        done="Three convolutions of 5×5 with 32, 32 and 64 maps, each with a pool, and a dense layer: no dropout, no"
        " normalisation, no weight decay, drawn from N(0, 0.01²) with centred pixels of 0 to 255, as the paper has it;"
        " batches of 64, a momentum of 0.9, a constant rate, each non-linearity's own best of those that"
        f" were tried for {TRIED} epochs. 5,000 images of 16×16, where the paper has 50,000 of 32×32. A training ends"
        f" once a quarter of the first 2,000 images is named wrongly, and after {LONGEST} epochs; the epochs until then"
        " are read between two by a straight line.",
        trials={
            f"{name}, rate {rate}": four_layers(activation, rate)
            for name, activation in (("ReLU", "relu"), ("tanh", "tanh"))
            for rate in BEST[name]
        },
        comparisons=tuple(
            Comparison(f"ReLU, rate {BEST['ReLU'][0]}", f"tanh, rate {rate}", of=epochs_to_goal, unit="epochs")
            for rate in BEST["tanh"]
        ),
        columns={"epochs to 25 %": epochs_to_goal},
        tuning={
            f"{name}, rate {rate}": four_layers(activation, rate, epochs=TRIED)
            for name, activation in (("ReLU", "relu"), ("tanh", "tanh"))
            for rate in RATES[name]
        },
        remark="tanh's two largest rates came to the same in what was tried, so that both were trained; the one with"
        " which it always comes to the goal is its best, and with it ReLU is hardly faster, let alone six times. The"
        " rate decides: with 0.002 for both, twelve epochs leave ReLU two fifths of the training images wrong and tanh"
        " two thirds; but tanh bears rates sixteen times as high. What limits it is the size: a tenth of the images at"
        " a quarter of the pixels are soon known by heart, and the error of so small a training rises and falls from"
        " epoch to epoch, while the first below a quarter counts.",
    ),
    Claim(
        key="lrn",
        title="Local response normalisation",
        sentence="Response normalisation lowers the error: by 1.4 points on ImageNet, from 13 to 11 % on CIFAR-10"
        " (Krizhevsky et al. 2012, section 3.3); it does not improve VGG's net A (Simonyan, Zisserman 2015, 4.1).",
        done="A narrow AlexNet with and without both normalisations (k = 2, n = 5, α = 10⁻⁴, β = 0.75), eight epochs;"
        " a narrow VGG A and A-LRN, ten epochs.",
        trials={
            "AlexNet with": alexnet(lrn=True),
            "AlexNet without": alexnet(),
            "VGG A-LRN": Trial(**vgg("A-LRN", epochs=10)),
            "VGG A": Trial(**vgg("A", epochs=10)),
        },
        comparisons=(
            Comparison("AlexNet with", "AlexNet without"),
            Comparison("VGG A", "VGG A-LRN", allowed=0.5),
        ),
        remark="Three seeds of nets of this size differ by about a point, so that half a point of VGG A's more or less"
        " can hardly be decided; ten seeds would.",
    ),
    Claim(
        key="overlapping-pooling",
        title="Overlapping pools",
        sentence="Pools of 3×3 at a stride of 2 lower the error by 0.4 points against pools of 2×2"
        " (Krizhevsky et al. 2012, section 3.4).",
        done="A narrow AlexNet whose stem leaves 31×31, so that both pools give maps of the same size and the nets have"
        " the same parameters, as in the paper; eight epochs.",
        trials={"3×3, stride 2": alexnet(), "2×2, stride 2": alexnet(pool=[2, 2])},
        comparisons=(Comparison("3×3, stride 2", "2×2, stride 2"),),
    ),
    Claim(
        key="stem",
        title="A finer first layer",
        sentence="A smaller kernel and stride in the first layer keep more of the image and lower the error"
        " (Zeiler, Fergus 2014, section 4.1: 11×11 at 4 against 7×7 at 2).",
        done="A narrow AlexNet whose first layer is 4×4 at a stride of 1 or 7×7 at 2; eight epochs. The finer one also"
        " multiplies more, in the paper and here.",
        trials={"4×4, stride 1": alexnet(), "7×7, stride 2": alexnet(stem=[7, 2, 3])},
        comparisons=(Comparison("4×4, stride 1", "7×7, stride 2"),),
    ),
    Claim(
        key="dropout",
        title="Dropout",
        sentence="Without dropout in the dense layers the net overfits substantially"
        " (Krizhevsky et al. 2012, section 4.2).",
        done="A narrow AlexNet with two dense layers of 512 on 4,000 images for 25 epochs, long enough to know them by"
        " heart.",
        trials={"dropout 0.5": dropped(0.5), "no dropout": dropped(0.0)},
        comparisons=(Comparison("dropout 0.5", "no dropout"),),
        remark="The overfitting is there: without dropout no training image is named wrongly. What dropout gives for it"
        " on the test images is less than 4,000 images and three seeds can tell; ten seeds would.",
    ),
    Claim(
        key="mlpconv",
        title="1×1 convolutions as networks in the network",
        sentence="Two 1×1 convolutions behind each convolution make better features than the convolution alone"
        " (Lin et al. 2014, section 3.1).",
        done="NIN at half its maps with and without its 1×1 convolutions, on images of 16×16, eight epochs.",
        trials={
            "with 1×1": nin(),
            "without": nin(blocks=[[5, 192], [5, 192], [3, 192]]),
        },
        comparisons=(Comparison("with 1×1", "without"),),
        remark="The net with 1×1 has the higher training error, too: after eight epochs one of nine layers has not"
        " learnt what it can, where one of three has come further, which besides has 31 % more parameters. The paper"
        " trains until the error stands still.",
    ),
    Claim(
        key="average-pooling",
        title="Global average pooling instead of dense layers",
        sentence="The mean of one map a class regularises where a dense layer in its place overfits: 10.41 % against"
        " 11.59 % (Lin et al. 2014, table 5).",
        done="NIN at half its maps with its mean and with a dense layer, on images of 16×16, eight epochs.",
        trials={"mean": nin(), "dense layer": nin(head="dense")},
        comparisons=(Comparison("mean", "dense layer"),),
        remark="The dense layer fits the training images better, as the sentence has it; but neither net is near to"
        " knowing them by heart after eight epochs, so that there is little overfitting to be prevented yet.",
    ),
    Claim(
        key="two-3x3",
        title="Two 3×3 instead of one 5×5",
        sentence="A deep net with small filters beats a shallow one with larger ones of the same receptive field: VGG B"
        " with 5×5 in the place of each pair of 3×3 is 7 points worse (Simonyan, Zisserman 2015, section 4.1).",
        done="A narrow VGG B (batch normalisation) and the same with one 5×5 for each pair; six epochs.",
        trials={
            "two 3×3": Trial(**vgg("B", epochs=6, batch_norm=True)),
            "one 5×5": Trial(**vgg("B", epochs=6, batch_norm=True, merged_pairs=True)),
        },
        comparisons=(Comparison("two 3×3", "one 5×5"),),
        remark="Both nets nearly know their 10,000 images by heart, and normalised batches let either learn. The paper"
        " compared nets without them, by the error on ImageNet; three seeds of these differ by more than a point.",
    ),
    Claim(
        key="from-shallow",
        title="Deep nets from a shallow one",
        sentence="VGG's deeper nets do not start from small random weights; begun with the first four convolutions and"
        " the dense layers of the trained net A they do (Simonyan, Zisserman 2015, section 3.1).",
        done="VGG A, C, D and E at an eighth of the maps, six epochs: drawn from N(0, σ²), begun from A, or drawn as He"
        " et al. 2015. What passes a layer grows with σ·√maps: σ = 0.028 keeps as much of the signal here as 0.01 does"
        " on the paper's wide layers, but with that not even A starts in six epochs. σ = 0.055 was chosen, on one"
        " seed, as one with which A does. A, from which the others begin, was drawn as He et al.",
        trials={
            f"{configuration}, {name}": deep(configuration, start)
            for configuration in "ACDE"
            for name, start in (("small σ", "small"), ("from A", "A"), ("He et al.", "kaiming"))
            if (configuration, start) != ("A", "A")
        },
        comparisons=(
            *(Comparison("A, small σ", f"{deeper}, small σ") for deeper in "CDE"),
            *(Comparison(f"{deeper}, from A", f"{deeper}, small σ") for deeper in "CDE"),
            *(Comparison(f"{deeper}, He et al.", f"{deeper}, from A", allowed=1.0) for deeper in "CDE"),
        ),
        remark="Six epochs show whether a net starts, not how far it comes. D begun from A differs by two points from"
        " seed to seed; ten seeds would tell whether drawing it as He et al. is as good.",
    ),
    Claim(
        key="depth",
        title="Depth",
        sentence="The error falls with the depth, from 11 layers to 16, and saturates at 19"
        " (Simonyan, Zisserman 2015, section 4.1).",
        done="The nets above, drawn as He et al. 2015.",
        trials={f"VGG {configuration}": deep(configuration, "kaiming") for configuration in "ACDE"},
        comparisons=(
            Comparison("VGG D", "VGG A"),
            Comparison("VGG D", "VGG C"),
            Comparison("VGG D", "VGG E", allowed=0.5),
        ),
        remark="The training error rises with the depth as well: it is how soon a net learns that six epochs show here,"
        " not how well it does in the end; trainings to the end would show that.",
    ),
    Claim(
        key="multi-scale",
        title="Multi-scale augmentation",
        sentence="Training images scaled at random (S in [256, 512] for windows of 224) give a lower error than images"
        " of one size (Simonyan, Zisserman 2015, section 4.1: 27.0 to 25.6 %).",
        done="A narrow VGG A, forty epochs of 4,000 images, mirrored and cut out of a black frame of 4, and also scaled"
        " by 0.8 to 1.25 before they are cut; tested in the middle of that, as VGG's authors do.",
        trials={
            "mirrored and cut": augmented({"crop": 4, "flip": True}),
            "mirrored, cut and scaled": augmented({"crop": 4, "flip": True, "scale": [0.8, 1.25]}),
        },
        comparisons=(Comparison("mirrored, cut and scaled", "mirrored and cut"),),
        remark="Scaled images are harder: after forty epochs the net still names a quarter of its training images"
        " wrongly where the other names 17 %. VGG's authors trained for 74 epochs of 1.3 million images, from a net"
        " that knew one scale already, and their test images differ in scale as these hardly do.",
    ),
    Claim(
        key="reduction",
        title="1×1 reduction",
        sentence="1×1 convolutions before the 3×3 and 5×5 let GoogLeNet grow wide and deep at little cost"
        " (Szegedy et al. 2015, figure 2).",
        done="A quarter of GoogLeNet's maps with its reductions and without (figure 2a), and without them at so few"
        " maps that the net multiplies about as often, or has about as many parameters, as with them; six epochs.",
        trials={
            "with reduction": googlenet(),
            "without": googlenet(reduction=False),
            "without, as many multiplications": googlenet(reduction=False, width=0.15),
            "without, as many parameters": googlenet(reduction=False, width=0.125),
        },
        comparisons=(
            Comparison("with reduction", "without", allowed=1.0),
            Comparison("with reduction", "without, as many multiplications"),
            Comparison("with reduction", "without, as many parameters"),
        ),
        remark="With its reductions the net is the deeper one, and after six epochs it names nearly half of its"
        " training images wrongly: it has not learnt what it can. At as many parameters nothing is between them that"
        " three seeds could tell.",
    ),
    Claim(
        key="auxiliary",
        title="Auxiliary classifiers",
        sentence="Classifiers half way, whose losses count 0.3, bring the gradient to the lower layers and lower the"
        " error (Szegedy et al. 2015, section 5).",
        done="A quarter of GoogLeNet's maps, without batch normalisation, with and without both classifiers; six"
        " epochs. Parameters and multiplications are those that are served.",
        trials={"with": googlenet(auxiliary=0.3), "without": googlenet()},
        comparisons=(Comparison("with", "without"),),
        remark="Drawn as He et al. 2015, which the paper did not know, a net of this depth gets its gradient without"
        " help; and after six epochs both still name half of their training images wrongly.",
    ),
)
