import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSamples
from service.evaluation.measure import measure
from service.metrics.kernel_metric import share, sums_of
from service.metrics.kernels import Polynomial
from service.metrics.kid import KID
from service.metrics.metric import Metric, Side
from service.metrics.mmd import MMD

Real = NDArray[np.float64]


def sides() -> tuple[Side, Side]:
    rng = np.random.default_rng(1)
    return Side(features=rng.standard_normal((50, 4))), Side(features=rng.standard_normal((41, 4)) + 0.5)


def test_metrics_that_share_two_sets_say_what_each_says_alone() -> None:
    metrics: dict[str, Metric] = {"kid": KID(), "mmd": MMD()}
    real, generated = sides()
    measured = measure(generated, real, metrics).metrics
    for name, metric in metrics.items():
        assert measured[name].value == metric.measure(*sides()).value
        floor = measured[name].noise_floor
        assert floor is not None
        assert floor.value == metric.noise_floor(*sides(), seed=0).value


def test_the_sums_of_kernels_that_are_shared_are_computed_together_and_once() -> None:
    real, generated = sides()
    share(real, generated, [KID(), MMD(), KID(subsets=2)])
    kernels = [Polynomial(), MMD().kernel_for(real)]
    first = [sums_of(kernel, real, generated) for kernel in kernels]
    again = [sums_of(kernel, real, generated) for kernel in kernels]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_one_kernel_without_a_bandwidth_fails_all_that_share_the_sets() -> None:
    copies = np.ones((20, 4))
    with pytest.raises(InvalidSamples, match="no bandwidth"):
        measure(sides()[1], Side(features=copies), {"kid": KID(), "mmd": MMD()})


def test_a_kernel_that_was_not_shared_is_computed_for_itself() -> None:
    real, generated = sides()
    share(real, generated, [KID()])
    assert MMD().measure(real, generated).value == MMD().measure(*sides()).value
    assert KID().measure(real, generated).value == KID().measure(*sides()).value
