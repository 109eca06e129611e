"""The chapter's advice against collapse, each as what it changes in a recipe that collapses without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEEDS = 5
MODEL = "gan-ring"
"""Whose net and data it is done with."""
MODES = 8
BASE: dict[str, Any] = {
    "loop": "adversarial",
    "system": "gan",
    "discriminator": "toy-discriminator",
    "discriminator_options": {"width": 128},
    "iterations": 2500,
    "batch": 100,
    "optimiser": "adam",
    "betas": (0.9, 0.999),
    "generator_rate": 1e-3,
    "discriminator_rate": 4e-4,
    "record_every": 500,
    "grid_every": 2500,
}
"""A GAN whose discriminator learns more slowly than its generator, with Adam's own β₁ and no average."""
SETTING = (
    "A GAN with the non-saturating loss on a ring of eight Gaussians (radius 1, σ = 0.01): two hidden\n"
    f"layers of 128 in both nets, {BASE['iterations']:,} iterations of {BASE['batch']} points, Adam with its own β₁ ="
    f" {BASE['betas'][0]:g}, the generator's rate {BASE['generator_rate']:g} and\n"
    f"the discriminator's {BASE['discriminator_rate']:g}, no average of weights, rates that do not fall."
)


@dataclass(frozen=True, slots=True)
class Switch:
    """One piece of advice; `alone` where it does not go with several trainings side by side.

    It is compared with the switch `against`.
    """

    key: str
    title: str
    source: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
    against: str = "none"


PLAIN = Switch("none", "nothing", "")
NORMALISED = {**BASE["discriminator_options"], "batch_norm": True}
GANHACKS = "Chintala et al., *How to train a GAN?*"
SWITCHES = (
    PLAIN,
    Switch(
        "one-sided",
        "real samples labelled 0.9",
        "Salimans et al. 2016, section 3.4",
        {"labels": {"real": (0.9, 0.9)}},
    ),
    Switch(
        "soft",
        "soft labels, real 0.7 to 1.2, fake 0 to 0.3",
        f"{GANHACKS}, point 6",
        {"labels": {"real": (0.7, 1.2), "fake": (0.0, 0.3)}},
    ),
    Switch("flipped", "one label in twenty flipped", f"{GANHACKS}, point 6", {"labels": {"flipped": 0.05}}),
    Switch(
        "noise",
        "instance noise of 0.1 that falls to nothing",
        "Sønderby et al. 2017; point 13",
        {"instance_noise": 0.1},
    ),
    Switch(
        "replay",
        "half of the fakes from earlier iterations",
        "Shrivastava et al. 2017, section 2.3; point 8",
        {"replay": 0.5},
        alone=True,
    ),
    Switch(
        "time-scales",
        "both rates exchanged: 0.0004 for the generator, 0.001 for the discriminator",
        "Heusel et al. 2017; two time-scales",
        {"generator_rate": 4e-4, "discriminator_rate": 1e-3},
    ),
    Switch("spectral", "spectral normalisation", "Miyato et al. 2018", {"spectral": True}, alone=True),
    Switch("steps", "five steps of the discriminator for one", f"{GANHACKS}, point 14", {"discriminator_steps": 5}),
    Switch(
        "sgd",
        "SGD for the discriminator",
        f"{GANHACKS}, point 9",
        {"discriminator_optimiser": "sgd", "discriminator_rate": 0.1},
    ),
    Switch("momentum", "Adam's β₁ = 0.5", "Radford et al. 2016, section 4", {"betas": (0.5, 0.999)}),
    Switch("no-momentum", "Adam's β₁ = 0, β₂ = 0.9", "Gulrajani et al. 2017, algorithm 1", {"betas": (0.0, 0.9)}),
    Switch("average", "the average of the generator's weights, decay 0.999", "Yazıcı et al. 2019", {"average": 0.999}),
    Switch("falling", "rates that fall to nothing in the second half", "", {"falling_from": 0.5}),
    Switch(
        "together",
        "batch normalisation in the discriminator, real and fake in one batch",
        "Ioffe, Szegedy 2015",
        {"discriminator_options": NORMALISED, "separate_batches": False},
        alone=True,
    ),
    Switch(
        "apart",
        "the same with batches of real and fake apart, beside those in one",
        f"{GANHACKS}, point 4",
        {"discriminator_options": NORMALISED},
        alone=True,
        against="together",
    ),
)
