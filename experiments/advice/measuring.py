"""Trainings of points with one switch, and what is left of the modes."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from experiments.advice.record import Measured
from experiments.advice.switches import BASE, SEEDS, Switch
from experiments.collapse.points import train_points
from service.datasets.mixtures import Mixture
from service.datasets.registry import find_mixture
from service.metrics.fid import fid
from service.metrics.mode_coverage import mode_coverage
from service.metrics.samples import Rows
from service.store import Manifest
from service.tasks.generate import latents

POINTS = 2500
FAR = 1e3
"""Where points are put that are further away, or are no numbers: no mode is near there."""


class Worth(NamedTuple):
    """What one generator's points are worth."""

    modes: float
    good: float
    reverse_kl: float
    fid: float


def recipe_of(switch: Switch, base: Mapping[str, Any] = BASE) -> dict[str, Any]:
    """The recipe with one switch on, of all seeds side by side where they can be."""
    return {**base, **switch.changes, "stack": 1 if switch.alone else SEEDS}


def digest_of(switch: Switch, base: Mapping[str, Any] = BASE) -> str:
    """What its measurements are filed under."""
    return hashlib.sha256(json.dumps(recipe_of(switch, base), sort_keys=True).encode()).hexdigest()[:12]


def measure(switch: Switch, manifest: Manifest, data_dir: Path, base: Mapping[str, Any] = BASE) -> Measured:
    """All seeds of one switch."""
    recipe, begun = recipe_of(switch, base), time.process_time()
    found = [
        worth
        for seed in range(SEEDS // recipe["stack"])
        for worth in _train({**recipe, "seed": seed}, manifest, data_dir)
    ]
    values = {name: tuple(round(float(getattr(one, name)), 6) for one in found) for name in Worth._fields}
    return Measured(
        switch=switch.key, recipe=digest_of(switch, base), seconds=round(time.process_time() - begun, 1), **values
    )


def _train(recipe: Mapping[str, Any], manifest: Manifest, data_dir: Path) -> list[Worth]:
    """What each of a stack is worth when its training is over."""
    _, generators = train_points(recipe, manifest, data_dir)
    z = torch.from_numpy(latents(recipe["seed"], 0, recipe["stack"] * POINTS, manifest.latent))
    with torch.no_grad():
        points = generators(z).nan_to_num(FAR, FAR, -FAR).clamp(-FAR, FAR).numpy()
    mixture = find_mixture(manifest.dataset)
    real = mixture.load(data_dir, "test")
    return [worth_of(own, real, mixture) for own in np.split(points, recipe["stack"])]


def worth_of(points: Rows, real: Rows, mixture: Mixture) -> Worth:
    """Modes, good points and the Fréchet distance of points (n, 2) from real ones (m, 2)."""
    return Worth(*mode_coverage(points, mixture.modes, mixture.deviation), fid(real, points).value)
