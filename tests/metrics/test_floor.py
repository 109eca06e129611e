"""A floor is what real samples score against real samples at the sizes of the evaluation, measured directly here."""

import numpy as np
import pytest

from service.metrics.coverage import Coverage
from service.metrics.fid import FID
from service.metrics.floor import FloorLaw
from service.metrics.metric import Metric, Side
from service.metrics.mmd import MMD
from service.metrics.one_nn import OneNN
from service.metrics.precision import Precision
from service.metrics.recall import Recall
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
    floor = Precision().noise_floor(Side(features=real(300, 1)), Side(features=real(310, 2)), seed=0)
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


def test_far_below_the_sizes_that_were_measured_a_law_says_nothing() -> None:
    scores = {n: [0.9 - 30 / n, 0.91 - 30 / n] for n in (500, 1000)}
    law = FloorLaw.of(scores, "digits train")
    assert law.at(250).value is not None
    floor = law.at(20)
    assert floor.value is None
    assert floor.how == (
        "sets of 500 samples and more of digits train were compared with this reference: what 20 score is not known"
    )


@pytest.mark.parametrize("metric", [OneNN(), Coverage(), Recall(), Precision()])
@pytest.mark.parametrize(("generated", "reference"), [(60, 600), (600, 200)])
def test_of_sets_of_unequal_size_the_parts_are_as_unequal(metric: Metric, generated: int, reference: int) -> None:
    direct = [
        metric.measure(Side(features=real(reference, 2 * n)), Side(features=real(generated, 2 * n + 1))).value
        for n in range(12)
    ]
    floor = metric.noise_floor(Side(features=real(reference, 50)), Side(features=real(generated, 51)), seed=0)
    assert floor.value == pytest.approx(np.mean(direct), abs=0.08)
    assert floor.sizes[0] / floor.sizes[1] == pytest.approx(generated / reference, rel=0.05)
    assert floor.how.endswith("as unequal as the sets, at their size")


def test_a_reference_too_small_for_unequal_parts_has_no_floor() -> None:
    floor = OneNN().noise_floor(Side(features=real(50, 1)), Side(features=real(1000, 2)), seed=0)
    assert floor.value is None
    assert floor.how == "the 50 samples of the reference are too few to tell what 1,000 real ones would score"
