"""The four tables: what was learnt in each, by whom, and what is asked of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from service.store import Model
from service.training.adversarial.systems.registry import SYSTEMS

ORDER = ("gan", "minibatch", "unrolled", "wgan", "wgan-gp", "dragan", "ebgan", "madgan", "pacgan")
"""The systems in the order of the rows, by the keys of a manifest's `system`; others come after them."""
CLOSE = ("unrolled", "wgan-gp", "dragan", "madgan", "pacgan")
"""Those of which points close to the modes are asked."""


class Demand(NamedTuple):
    """What is asked of one number."""

    number: str
    least: float | None = None
    most: float | None = None

    def holds(self, numbers: Mapping[str, float]) -> bool:
        """Whether these numbers do what is asked."""
        value = numbers[self.number]
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True, slots=True)
class Table:
    """One dataset, and the generators of it."""

    key: str
    dataset: str
    title: str
    protocol: str
    modes: int
    demands: tuple[Demand, ...] = ()
    asked_of: tuple[str, ...] = ORDER
    """The systems of which that is asked."""
    by_eye: str = ""
    """What a person sees in the picture."""
    tried: str = ""
    """What was tried for what is not reached, in vain or not yet in the rows, and what is known of the reason."""

    def generators(self, store: Path) -> list[Model]:
        """Every generator of this dataset that has a manifest in the store, trained or not."""
        models = [Model(path.parent) for path in sorted(store.glob("*/model.toml"))]
        chosen = [model for model in models if self._holds(model)]
        rows = [*ORDER, *SYSTEMS]
        return sorted(chosen, key=lambda model: (rows.index(system_of(model)), model.id))

    def _holds(self, model: Model) -> bool:
        manifest = model.manifest
        return manifest.task == "generate" and manifest.dataset == self.dataset and system_of(model) in SYSTEMS


def system_of(model: Model) -> str:
    """The key of the system that trains this model; empty where none does."""
    return str(model.manifest.training.get("system", ""))


def name_of(model: Model) -> str:
    """What a row is called: the system, and which form of it."""
    options = model.manifest.training.get("system_options", {})
    minimax = " (minimax)" if options.get("form") == "minimax" else ""
    return f"{SYSTEMS[system_of(model)].title}{options.get('packed', '')}{minimax}"


POINTS = (
    "2,500 points of each generator; a point is good within 3 σ of its nearest mode, a mode is covered by one good"
    " point, and the reverse KL is that of the good points' shares of the modes from even ones. Ten trainings side by"
    " side, five by the reduced recipes, each with weights, batches and latents of its own: mean ± standard deviation"
    " over them. The picture shows the first of them, which is the one that is served; its rings are 3 σ wide, or as"
    " wide as can be seen."
)
RING = Table(
    key="ring",
    dataset="ring-8",
    title="Ring of eight Gaussians",
    protocol=f"Radius 1, σ = 0.01. {POINTS}",
    modes=8,
    demands=(Demand("modes", least=7.8), Demand("good", least=0.9)),
    asked_of=CLOSE,
)
GRID = Table(
    key="grid",
    dataset="grid-25",
    title="Grid of 25 Gaussians",
    protocol=f"At {{−4, −2, 0, 2, 4}}², σ = 0.05. {POINTS}",
    modes=25,
    demands=(Demand("good", least=0.9),),
    asked_of=CLOSE,
    tried="A likely reason why WGAN's points lay so far from the modes before (16.5 % of them good, 20.8 modes, five"
    " seeds): every parameter of its critic was clipped at ±c, as in the paper. Training drives weights to those ends"
    " (Gulrajani et al. 2017, section 3), and a unit of the first layer with weights of ±c and a bias of c at most"
    " bends within 1 of the origin, whatever c is, while modes lie as far out as 5.7. On the ring, whose radius is 1,"
    " that does no harm. A bias changes no slope: its recipe does not clip biases now (`biases = false`), and points"
    " come nearer. A wider clip alone does not help, as the trainings on another seed below show."
    "\n\nUnrolled GAN loses modes as its points come nearer to those that it keeps. By GAN's rates ten trainings had"
    " 16.5 modes and 51.9 % good samples after 6,000 iterations, 12.1 and 93.2 % after 17,500, where they were stopped;"
    " with half of the discriminator's rate, which is its recipe now, 16.3 and 90.2 % after 24,000 and those of the row"
    " after 25,000.",
)
STACKED = Table(
    key="stacked-mnist",
    dataset="stacked-mnist",
    title="Stacked-MNIST",
    protocol="Three random digits of MNIST as the colours of one image: a thousand modes. 26,000 images of each"
    " generator; `nin-mnist` and `mlp-mnist` together name the digit of each channel, whatever their confidence, and"
    " three names are a mode, covered by one image. *Confident* is the share of 10,000 images all of whose three digits"
    " they name with 0.9 or more, beside that of three independent test images.",
    modes=1000,
    demands=(Demand("modes", least=990), Demand("confident", least=0.7)),
    asked_of=("gan", "unrolled", "madgan", "pacgan"),
    by_eye="By eye: GAN's colours are strokes of a pen's width, most of them nearly a digit; of real images one"
    " reads three digits, of GAN's mostly one or two. PacGAN2's, after half as many iterations, are broken and"
    " have specks. MAD-GAN's, after a twelfth of GAN's, are ragged and thick: in many images one reads a"
    " nought, a three or a nine in one colour, seldom a second digit, and no two are alike. Unrolled GAN's are"
    " knots of short oblique bars in all colours, with the outline of a digit and seldom one that can be read."
    " Modes count whatever the confidence, so that a thousand of them say nothing of that.",
    tried="MAD-GAN has another discriminator than on digits of one colour. By GAN's rates and nets each of its four"
    " generators drew one image, whatever the latent, after 2,700 iterations still; likewise with rates of"
    " 5·10⁻⁴ beside spectral in the place of batch normalisation, after 1,059. On seed 101 images of one"
    " generator differed by 0.14 to 0.15 of the data's deviation after 600 iterations of that, and `mlp-mnist`"
    " and `lenet5-mnist` named one kind in 512 images, while the discriminator had run ahead (its loss 1.6,"
    " which is 8.0 where it knows nothing). With rates of 10⁻³ and 10⁻⁴ and nothing normalised they differed"
    " by 0.13 to 0.14 (3 kinds, loss 7.8), with real and fake in one batch by 0.09 to 0.10 (one kind). Beside"
    " a discriminator that also sees how close images are to each other, as minibatch discrimination has it,"
    " they differed by 0.23 to 0.26 (11 kinds) after 400, and with 10⁻³ for the generator and 2·10⁻⁴ for the"
    " discriminator by 0.27 (12 kinds) after 300: that is the recipe of the row, and there they differ by 0.88"
    " to 0.94, those of GAN by 0.99. With 10⁻⁴ in the place of the latter and nothing normalised diverged"
    " within 25 iterations. So its row is of two remedies at once. Unrolled GAN by the rates of its digits of"
    " one colour, nothing normalised, came to 0.86 and 162 kinds after 300 iterations (GAN: 0.23 and 8), its"
    " discriminator hardly better than a coin. A second part beside a discriminator with layer normalisation,"
    " as those digits have, left it at 0.91 and 178 after 150, and the images no better to the eye: it is left"
    " out. An iteration takes it seven times as long as GAN. Batch normalisation, with GAN's rates, was not"
    " tried for it.",
)
MNIST = Table(
    key="mnist",
    dataset="mnist",
    title="MNIST",
    protocol="10,000 images of each generator beside the 10,000 test images, one body for all systems. The digits are"
    " named by `nin-mnist` and `mlp-mnist` together, the mean of their [calibrated](calibration.md) probabilities;"
    " *confident* is the share of images that they name with 0.9 or more, beside that of the test images. 1-NN is the"
    " leave-one-out accuracy on each half (0.5 is ideal) and FID the distance on the 84 features of another net,"
    " `lenet5-mnist`, FID beside its value between two halves of the test images.",
    modes=10,
    demands=(
        Demand("rarest", least=0.07),
        Demand("commonest", most=0.13),
        Demand("confident", least=0.9),
        Demand("one_nn_real", most=0.7),
        Demand("one_nn_generated", most=0.7),
    ),
    by_eye="By eye: strokes are a pen's, and no image stands there twice. Unrolled GAN and WGAN have the most images"
    " that are no digits (strokes broken, knotted or left open), Unrolled GAN with grey shadows beside them, WGAN with"
    " specks at the frame; of the others about one in five is no digit. The classifiers say the same above the panels.",
    tried="Who names the digits is strict. Of 2,000 images of GAN `nin-mnist` alone is sure of 78.3 %, `mlp-mnist`"
    " alone of 76.3 %, `lenet5-mnist` of 85.5 %, and the two that name them here of 71.6 %; of DRAGAN's of 80.6, 79.8,"
    " 85.8 and 74.7 %; of test images of 97.6, 96.1, 98.0 and 96.3 %. What one net is sure of elsewhere is therefore"
    " no match for a share in this table. The pair is kept: no single net and no other pair is as unsure of what is no"
    " digit (*Who names the digits of generators* in [calibration](calibration.md)), and 90 % is reached by none of the"
    " three.\n\n"
    "What classifiers doubt of GAN's images is neither noise nor grey. It is a clean stroke between two"
    " digits: a nought left open, a four that closes to a nine, half of a two. What was tried against it, by"
    " hand, on 2,000 images of other latents each, where three points of difference may be chance: latents of"
    " 0.7 times their deviation (GAN: 69.7 to 69.5 % named with confidence, FID 0.90 to 1.06); 600 iterations"
    " more beside a discriminator that begins anew, after 600 steps of its own at three times the rate (68.8"
    " %); as many after 150 such steps, learning only from the half of the fakes that it takes most for real,"
    " as Sinha et al. 2020 have it (67.9 %); of WGAN's, weights clipped at 0.1 and twice the rates for 400"
    " iterations more (54.6 to 50.7 %, FID 2.36 to 2.32); of DRAGAN, 1,200 iterations more beside a discriminator"
    " that begins anew, with rates that fall to nothing (76.6 to 70.3 %, FID 0.60 to 0.65). The trained"
    " discriminators were not kept, and beside"
    " a generator that is nearly right a new one is for long no better than a coin. Only Unrolled GAN, which"
    " lagged most, came nearer by a second part beside a discriminator with layer normalisation: its FID was"
    " 3.92, its share named with confidence 52.3 % before. Nothing shorter than the full recipes is known to"
    " bring the others there, and nobody has seen how far those come.",
)
TABLES = (RING, GRID, STACKED, MNIST)
