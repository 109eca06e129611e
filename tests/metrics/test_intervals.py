"""Intervals cover what they promise: the simulation of benchmarks/coverage.py, smaller."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from service.metrics.metric import Side
from service.metrics.registry import METRICS, build_metric
from service.metrics.uncertainty import (
    ALIKE,
    Interval,
    Variances,
    jackknife_variance,
    permutation_p_value,
)

REPEATS = 200
FEWER_REPEATS = {("wasserstein", "bounded"): 60}
"""A plan between 400 samples and 600 takes a fifth of a second."""
HEAVY_TAILED = {("fid", "skewed"), ("fid_infinity", "skewed")}
"""Where more than one repeat of twenty has a reason instead: squares of log-normal features."""


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "coverage_benchmark", Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gaussian", "equal", "skewed", "rectified", "bounded"])
@pytest.mark.parametrize("name", METRICS)
def test_a_nominal_95_per_cent_interval_covers_in_90_to_99_per_cent_of_repeats(name: str, shape: str) -> None:
    module = benchmark()
    repeats = FEWER_REPEATS.get((name, shape), REPEATS)
    found = module.simulate(name, {**module.SETTINGS, **module.HELD_OUT}[shape], repeats, more=0)
    assert found.given >= (0.25 if (name, shape) in HEAVY_TAILED else 0.9) * repeats
    assert 0.9 <= found.covered <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kid", "fid"])
def test_tails_that_no_sample_can_tell_have_a_reason_nearly_always(name: str) -> None:
    module = benchmark()
    assert module.simulate(name, module.HELD_OUT["heavy"], 40, more=0).given <= 6


def test_the_jackknife_of_a_mean_is_its_squared_standard_error() -> None:
    x = np.random.default_rng(1).standard_normal(40)
    left_out = (x.sum() - x) / 39
    assert jackknife_variance(left_out) == pytest.approx(x.var(ddof=1) / 40, rel=1e-12)


def test_an_interval_stays_within_what_the_estimand_can_be() -> None:
    found = Variances(real=0.03, generated=0.01).interval(0.9, "a share", lowest=0.0, highest=1.0)
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(0.9 - 1.96 * 0.2, abs=1e-3)
    assert found.high == 1
    assert found.standard_error == pytest.approx(0.2)
    assert found.generated_error == pytest.approx(0.1)


def test_the_interval_of_a_squared_distance_is_normal_on_its_root() -> None:
    found = Variances(real=None, generated=0.04).interval(4.0, "a square", squared=True)
    assert isinstance(found, Interval)
    assert np.sqrt(found.low) == pytest.approx(2 - 1.96 * 0.05, abs=1e-4)
    assert np.sqrt(found.high) == pytest.approx(2 + 1.96 * 0.05, abs=1e-4)
    assert found.estimand == "a square; the reference is taken as fixed"


@pytest.mark.parametrize(("variance", "reason"), [(0.0, ALIKE), (np.inf, "not finite"), (np.nan, "not finite")])
def test_a_variance_that_tells_nothing_is_a_reason(variance: float, reason: str) -> None:
    found = Variances(real=0.0, generated=variance).interval(1.0, "anything")
    assert isinstance(found, str)
    assert reason in found


def test_the_interval_of_a_share_of_independent_samples_is_wilsons() -> None:
    found = Variances(real=None, generated=0.9 * 0.1 / 50).interval_of_share(0.9, "a share")
    assert isinstance(found, Interval)
    for end in (found.low, found.high):  # where the score lies 1.96 errors of that share away
        assert abs(0.9 - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / 50), rel=1e-6)
    assert found.standard_error == pytest.approx(0.042426, abs=1e-6)


@pytest.mark.parametrize("name", ["precision", "recall", "coverage", "memorisation", "one_nn"])
def test_a_share_at_its_bound_has_a_reason(name: str) -> None:
    x = np.random.default_rng(1).standard_normal((200, 2))
    near = Side(features=x + 1e-6)
    assert build_metric(name).measure(Side(features=x), near, intervals=True).interval == ALIKE


def test_a_permutation_p_value_counts_the_observed_one() -> None:
    assert permutation_p_value(2.0, np.array([1.0, 1.5, 1.9])) == 0.25
    assert permutation_p_value(2.0, np.array([1.0, 2.0, 3.0])) == 0.75
