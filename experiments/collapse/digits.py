"""Generators of digits by independent classifiers: digits, confidence, 1-NN on both halves, FID beside its floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from experiments.collapse.record import Digits, Stack
from service.evaluation.extraction import extract_features
from service.imaging import Pixels
from service.metrics.fid import FID, fid
from service.metrics.metric import Side
from service.metrics.one_nn import OneNN
from service.metrics.samples import Rows
from service.operations.generate import gather_samples
from service.runtime.calls import EngineClient
from service.scoring.classes import name_classes, told
from service.store import Model

SAMPLES = 10_000
EXTRACTOR = "lenet5-mnist"
"""Whose features are compared."""
NAMERS = ("nin-mnist", "mlp-mnist")
"""Who names the digits, together and calibrated: of all that were tried the pair that is confident of digits only."""
CONFIDENT = 0.9

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judge:
    """Classifiers that no generator learnt from, and what one of them sees in test images."""

    engine: EngineClient
    extractor: Model
    namers: Sequence[Model]
    real: Rows
    """The extractor's features of them, (n, d)."""
    confident: float
    """The share of them that is named with confidence."""
    floor: float

    @classmethod
    async def beside(cls, test: Pixels, extractor: Model, namers: Sequence[Model], engine: EngineClient) -> Self:
        """One who compares with test images uint8 (n, H, W, C)."""
        real, _ = await extract_features(engine, extractor, test)
        floor = FID().noise_floor(Side(features=real), Side(features=real), seed=0).value
        assert floor is not None, "half of the test images are enough"
        confident = share_confident(await name_classes(engine, namers, test))
        return cls(engine, extractor, namers, real, confident, floor)

    @property
    def seen_by(self) -> str:
        """Whose eyes these are, for the record: other ones have to look again."""
        calibrated = (
            f"{told([model])} at {model.calibration.temperature:g}" for model in self.namers if model.calibration
        )
        return f"{told([self.extractor])}; {', '.join(calibrated)}"

    async def look(self, model: Model, *, count: int = SAMPLES) -> Digits:
        """What the first images of seed 0 are worth."""
        images = await gather_samples(self.engine, model, seed=0, count=count)
        features, _ = await extract_features(self.engine, self.extractor, images)
        probabilities = await name_classes(self.engine, self.namers, images)
        shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / count
        nearest = OneNN().measure(Side(features=self.real), Side(features=features)).details
        return Digits(
            shares=tuple(shares.tolist()),
            confident=share_confident(probabilities),
            confident_real=self.confident,
            one_nn_real=round(float(nearest["real"]), 6),
            one_nn_generated=round(float(nearest["generated"]), 6),
            fid=round(fid(self.real, features).value, 6),
            floor=round(self.floor, 6),
            seen_by=self.seen_by,
        )

    async def look_at_stack(self, model: Model, *, count: int = SAMPLES) -> Stack:
        """What the channels of the first images of seed 0 are worth."""
        images = await gather_samples(self.engine, model, seed=0, count=count)  # (n, H, W, 3)
        sure = np.ones(count, bool)
        for channel in range(images.shape[3]):
            alone = np.ascontiguousarray(images[..., channel : channel + 1])
            sure &= confident_of(await name_classes(self.engine, self.namers, alone))
        return Stack(
            confident=round(float(sure.mean()), 6),
            confident_real=round(self.confident ** images.shape[3], 6),
            seen_by=self.seen_by,
        )


def confident_of(probabilities: Rows) -> Flags:
    """Which images, of which these are the probabilities (n, classes), are named with confidence."""
    sure: Flags = probabilities.max(axis=1) >= CONFIDENT
    return sure


def share_confident(probabilities: Rows) -> float:
    """The share of images, of which these are the probabilities (n, classes), that are named with confidence."""
    return float(confident_of(probabilities).mean())
