"""A floor is what real samples score against real samples at the sizes of the evaluation, measured directly here."""

import numpy as np
import pytest

from service.metrics.fid import FID
from service.metrics.floor import FloorLaw
from service.metrics.metric import Metric, Side
from service.metrics.mmd import MMD
from service.metrics.precision import Precision
from service.metrics.samples import Real


def real(count: int, seed: int) -> Real:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 8)) * np.arange(1, 9) + rng.integers(0, 3, (count, 1))


@pytest.mark.parametrize(("generated", "reference"), [(500, 1000), (2000, 1000), (300, 300)])
def test_the_floor_of_an_upload_is_brought_to_the_sizes_of_the_evaluation(generated: int, reference: int) -> None:
    direct = [
        FID().measure(Side(features=real(reference, 2 * n)), Side(features=real(generated, 2 * n + 1))).value
        for n in range(40)
    ]
    floors = [
        FID().noise_floor(Side(features=real(reference, 100 + n)), Side(features=real(generated, 200 + n)), seed=0)
        for n in range(8)
    ]
    assert {floor.sizes for floor in floors} == {(generated, reference)}
    means = [floor.value or 0.0 for floor in floors]
    assert np.mean(means) == pytest.approx(np.mean(direct), rel=0.15)
    spread = np.mean([floor.spread or 0.0 for floor in floors])
    assert 0.4 < spread / np.std(direct, ddof=1) < 2.0


def test_with_fewer_samples_than_dimensions_the_floor_is_not_known() -> None:
    floor = FID().noise_floor(Side(features=real(14, 1)), Side(features=real(1000, 2)), seed=0)
    assert floor.value is None
    assert floor.how == "7 samples for 8 dimensions are too few to tell what real ones would score at these sizes"


def test_what_does_not_fall_to_zero_is_said_at_the_size_of_the_parts() -> None:
    floor = Precision().noise_floor(Side(features=real(300, 1)), Side(features=real(1000, 2)), seed=0)
    assert floor.sizes == (150, 150)
    assert floor.how == "mean of 8 pairs of disjoint random parts of the reference, at their size"


@pytest.mark.parametrize("metric", [FID(), MMD()])
def test_one_seed_is_one_floor(metric: Metric) -> None:
    sides = Side(features=real(200, 1)), Side(features=real(100, 2))
    assert metric.noise_floor(*sides, seed=1) == metric.noise_floor(*sides, seed=1)
    assert metric.noise_floor(*sides, seed=1) != metric.noise_floor(*sides, seed=2)


def test_a_law_is_fitted_to_the_scores_of_several_sizes() -> None:
    rng = np.random.default_rng(0)
    scores = {n: list(0.1 + 30 / n + rng.normal(0, 3 / n, 8)) for n in (500, 1000, 2000, 5000)}
    law = FloorLaw.of(scores, "digits train")
    for n in (700, 3000, 10_000):
        floor = law.at(n)
        assert floor.value == pytest.approx(0.1 + 30 / n, rel=0.05)
        assert floor.spread is not None
        assert floor.spread >= 0
    assert "digits train" in law.at(700).how
    assert law == FloorLaw.model_validate_json(law.model_dump_json())
