"""Generators of digits by an independent classifier: digits, confidence, 1-NN on both halves, FID beside its floor."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from experiments.collapse.record import Digits
from service.evaluation.extraction import extract_features
from service.imaging import Pixels
from service.metrics.fid import FID, fid
from service.metrics.metric import Side
from service.metrics.one_nn import OneNN
from service.metrics.samples import Rows
from service.operations.generate import gather_samples
from service.runtime.calls import EngineClient
from service.store import Model

SAMPLES = 10_000
CLASSIFIER = "lenet5-mnist"
CONFIDENT = 0.9


@dataclass(frozen=True, slots=True)
class Judge:
    """A classifier that no generator learnt from, and what it sees in test images."""

    engine: EngineClient
    classifier: Model
    real: Rows
    """Its features of them, (n, d)."""
    floor: float

    @classmethod
    async def beside(cls, test: Pixels, classifier: Model, engine: EngineClient) -> Self:
        """One who compares with test images uint8 (n, H, W, C)."""
        real, _ = await extract_features(engine, classifier, test)
        floor = FID().noise_floor(Side(features=real), Side(features=real), seed=0).value
        assert floor is not None, "half of the test images are enough"
        return cls(engine, classifier, real, floor)

    async def look(self, model: Model, *, count: int = SAMPLES) -> Digits:
        """What the first images of seed 0 are worth."""
        images = await gather_samples(self.engine, model, seed=0, count=count)
        features, probabilities = await extract_features(self.engine, self.classifier, images)
        assert probabilities is not None, "a classifier knows classes"
        shares = np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / count
        nearest = OneNN().measure(Side(features=self.real), Side(features=features)).details
        return Digits(
            shares=tuple(shares.tolist()),
            confident=float((probabilities.max(axis=1) >= CONFIDENT).mean()),
            one_nn_real=round(float(nearest["real"]), 6),
            one_nn_generated=round(float(nearest["generated"]), 6),
            fid=round(fid(self.real, features).value, 6),
            floor=round(self.floor, 6),
        )
