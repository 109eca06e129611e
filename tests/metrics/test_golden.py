"""Every golden case of the metrics that are here, at the tolerance that its arithmetic allows."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from golden.generators import FEATURES, LOGITS, Floats, sha256_of

from service.errors import InvalidSamples
from service.metrics.fid import fid, frechet_distance
from service.metrics.inception_score import inception_score
from service.metrics.kid import kid
from service.metrics.metric import Metric, Side
from service.metrics.mmd import MMD, mmd2
from service.metrics.mode_score import mode_score
from service.metrics.registry import METRICS, build_metric
from service.metrics.samples import softmax
from service.metrics.statistics import Statistics

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text("utf-8"))
FULL_RANK = [
    "gauss_500x64",
    "gauss_2000x768",
    "same_dist_1000x64",
    "inc_1000x64",
    "tiny1e-4_500x64",
    "d2_20x2",
]
SINGULAR = [
    "inc_500x768_N_lt_d",
    "collapsed10_500x64",
    "constant_500x64",
    "both_constant_100x64",
    "n2_2x64",
]
IDENTICAL = ["identical_500x64", "identical_1000x2048_N_lt_d"]

CONVENTIONS: dict[str, tuple[int, int | None]] = {
    "inception_score_1_split": (1, None),
    "inception_score_10_splits_in_order": (10, None),
    "inception_score_10_splits_shuffled_seed_2020": (10, 2020),
}
SCORED = [
    (case, convention)
    for case in LOGITS
    for convention in CONVENTIONS
    if GOLDEN["logits"][case][convention]["inception_score_mean"] != "nan"  # what torch-fidelity cannot say
]


TINY = Side(features=np.zeros((9, 2)))
CONSTANT = "both_constant_100x64"
UNFINISHED = "gauss_2000x768"


def arrays(case: str) -> tuple[Floats, Floats]:
    real, generated = (build() for build in FEATURES[case])
    assert sha256_of(real) == GOLDEN["features"][case]["sha256_real"]
    assert sha256_of(generated) == GOLDEN["features"][case]["sha256_fake"]
    return real, generated


def sides(case: str) -> tuple[Side, Side]:
    real, generated = arrays(case)
    return Side(features=real), Side(features=generated)


@pytest.mark.parametrize("case", FULL_RANK)
def test_fid_at_full_rank_is_that_of_the_float64_tools(case: str) -> None:
    score = fid(*arrays(case))
    golden = GOLDEN["features"][case]["fid"]
    for tool in ("pytorch_fid", "torch_fidelity", "nuclear_norm"):
        assert score.value == pytest.approx(golden[tool], rel=1e-9)
    assert score.warnings == ()


@pytest.mark.slow
def test_fid_at_the_size_of_inception_is_that_of_the_float64_tools() -> None:
    real, generated = arrays("gauss_3000x2048")
    golden = GOLDEN["features"]["gauss_3000x2048"]
    assert fid(real, generated).value == pytest.approx(golden["fid"]["torch_fidelity"], rel=1e-9)
    assert mmd2(real, generated, sigma=10) == pytest.approx(golden["mmd2_rbf_sigma10_unbiased"], abs=1e-12)
    assert kid(real, generated) == pytest.approx(golden["kid_unbiased_full_set"], rel=1e-9)
    both = Side(features=real), Side(features=generated)
    for name in ("precision", "recall", "density", "coverage"):
        assert build_metric(name).measure(*both).value == pytest.approx(golden["prdc_k5"][name], rel=1e-9)
    assert build_metric("one_nn").measure(*both).value == golden["one_nn"]["acc"]
    assert build_metric("memorisation").measure(*both).details["authenticity"] == golden["authpct"] / 100


@pytest.mark.parametrize("case", SINGULAR)
def test_fid_of_singular_covariances_is_exact_where_the_tools_are_not(case: str) -> None:
    score = fid(*arrays(case))
    assert score.value == pytest.approx(GOLDEN["features"][case]["fid"]["nuclear_norm"], rel=1e-10)
    assert score.warnings


@pytest.mark.parametrize("case", IDENTICAL)
def test_fid_of_a_set_and_itself_is_zero(case: str) -> None:
    real, generated = arrays(case)
    assert 0 <= fid(real, generated).value <= 1e-12 * np.square(real).sum(axis=1).mean()


@pytest.mark.parametrize("case", [*FULL_RANK, *SINGULAR, *IDENTICAL])
def test_mmd_of_a_fixed_bandwidth_is_that_of_torch_fidelity_and_cmmd(case: str) -> None:
    real, generated = arrays(case)
    golden = GOLDEN["features"][case]
    unbiased = mmd2(real, generated, sigma=10)
    biased = mmd2(real, generated, sigma=10, unbiased=False)
    assert unbiased == pytest.approx(golden["mmd2_rbf_sigma10_unbiased"], rel=1e-9, abs=1e-12)
    assert 1000 * biased == pytest.approx(golden["cmmd_rbf_sigma10_biased_x1000"], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", [*FULL_RANK, *SINGULAR, *IDENTICAL])
def test_kid_is_that_of_the_float64_tools(case: str) -> None:
    real, generated = arrays(case)
    golden = GOLDEN["features"][case]
    magnitude = 1e-12 * (1 + float(np.square(real.astype(np.float64)).sum(axis=1).mean()) / real.shape[1]) ** 3
    assert kid(real, generated) == pytest.approx(golden["kid_unbiased_full_set"], rel=1e-9, abs=magnitude)
    biased = kid(real, generated, unbiased=False)
    assert biased == pytest.approx(golden["kid_biased_full_set"], rel=1e-9, abs=magnitude)


@pytest.mark.parametrize("case", [case for case in (*FULL_RANK, *SINGULAR, *IDENTICAL) if case != CONSTANT])
def test_mmd_of_the_mean_bandwidth_is_that_of_the_survey(case: str) -> None:
    score = MMD(bandwidth="mean", estimator="biased").measure(*sides(case))
    expected = GOLDEN["features"][case]["mmd_rbf_mean_bandwidth_biased_sqrt"]
    assert score.value == pytest.approx(expected**2, rel=1e-9, abs=1e-12)


def test_mmd_of_a_constant_reference_has_no_bandwidth_and_the_survey_s_is_rounding_noise() -> None:
    with pytest.raises(InvalidSamples, match="no bandwidth"):
        MMD(bandwidth="mean", estimator="biased").measure(*sides(CONSTANT))


@pytest.mark.parametrize("case", [*FULL_RANK, *SINGULAR, *IDENTICAL])
def test_one_nn_is_that_of_scikit_learn_in_both_halves(case: str) -> None:
    golden = GOLDEN["features"][case]["one_nn"]
    score = build_metric("one_nn").measure(*sides(case))
    assert score.value == pytest.approx(golden["acc"], rel=1e-9)
    assert score.details["real"] == pytest.approx(golden["acc_real"], rel=1e-9)
    assert score.details["generated"] == pytest.approx(golden["acc_fake"], rel=1e-9)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("case", [*FULL_RANK, *SINGULAR, *IDENTICAL])
def test_precision_recall_density_and_coverage_are_those_of_prdc(case: str, k: int) -> None:
    real, generated = sides(case)
    golden = GOLDEN["features"][case][f"prdc_k{k}"]
    for name in ("precision", "recall", "density", "coverage"):
        metric = build_metric(name, {"k": k})
        if "error" in golden:
            assert metric.lacks(real, generated) == f"more than {k} samples of each side; the reference has 2"
        else:
            assert metric.measure(real, generated).value == pytest.approx(golden[name], rel=1e-9)


@pytest.mark.parametrize("case", [*FULL_RANK, *SINGULAR, *IDENTICAL])
def test_authenticity_is_that_of_dgm_eval(case: str) -> None:
    score = build_metric("memorisation").measure(*sides(case))
    expected = GOLDEN["features"][case]["authpct"]  # kept in single precision
    assert 100 * float(score.details["authenticity"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", [case for case in (*FULL_RANK, *SINGULAR, *IDENTICAL) if case != UNFINISHED])
def test_wasserstein_is_that_of_pot(case: str) -> None:
    real, generated = sides(case)
    golden = GOLDEN["features"][case]["wasserstein_1"]
    ours = build_metric("wasserstein").measure(real, generated).value
    if case in IDENTICAL:  # POT's 4e-8 is the rounding of its distances
        assert ours == 0
    else:
        assert ours == pytest.approx(golden, rel=1e-9)


@pytest.mark.slow
def test_wasserstein_is_the_optimum_where_pot_stopped_before_it() -> None:
    ours = build_metric("wasserstein").measure(*sides(UNFINISHED)).value
    assert ours == pytest.approx(38.11267205300457, rel=1e-12)  # POT 0.9.7 with ten million iterations
    assert ours < GOLDEN["features"][UNFINISHED]["wasserstein_1"]


@pytest.mark.parametrize("name", [name for name in METRICS if build_metric(name).lacks(TINY, TINY) is None])
def test_a_nan_is_an_error_whatever_other_tools_say(name: str) -> None:
    metric: Metric = build_metric(name)
    with pytest.raises(InvalidSamples, match=r"Row 0 of the generated features .* NaN"):
        metric.measure(*sides("nan_100x64"))


@pytest.mark.parametrize("case", LOGITS)
@pytest.mark.parametrize("variant", ["survey", "che"])
def test_mode_score_is_that_of_the_survey_and_of_che(case: str, variant: Literal["survey", "che"]) -> None:
    real, generated = (softmax(build(), "given") for build in LOGITS[case])
    score = mode_score(real, generated, variant=variant)
    expected = GOLDEN["logits"][case][f"mode_score_{variant}"]
    if expected == "nan":  # a class that the generated set lacks: the limit is 0, and is warned of
        assert score.value == 0
        assert score.warnings
    else:
        assert score.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("case", "convention"), SCORED)
def test_inception_score_is_that_of_torch_fidelity(case: str, convention: str) -> None:
    real, generated = (build() for build in LOGITS[case])
    golden = GOLDEN["logits"][case]
    assert sha256_of(real) == golden["sha256_real_logits"]
    assert sha256_of(generated) == golden["sha256_fake_logits"]
    splits, shuffle_seed = CONVENTIONS[convention]
    score = inception_score(softmax(generated, "generated"), splits=splits, shuffle_seed=shuffle_seed)
    expected = golden[convention]
    assert score.value == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert score.details["std"] == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


def test_inception_score_of_saturated_probabilities_is_a_number() -> None:
    generated = LOGITS["c10_saturated"][1]()
    score = inception_score(softmax(generated, "generated"), splits=1)
    expected = GOLDEN["logits"]["c10_saturated"]["inception_score_gan_metrics"]
    assert score.value == pytest.approx(expected, rel=1e-9)


def test_fewer_samples_than_splits_are_an_error() -> None:
    with pytest.raises(InvalidSamples, match=r"5 sample\(s\), fewer than the 10 splits"):
        inception_score(softmax(LOGITS["n5_lt_splits"][1](), "generated"))


@pytest.mark.parametrize("d", [4, 64, pytest.param(2048, marks=pytest.mark.slow)])
def test_fid_of_diagonal_covariances_is_the_closed_form(d: int) -> None:
    j = np.arange(d)
    real = Statistics(np.zeros(d), np.diag(1 + j / d))
    generated = Statistics(np.full(d, 0.5), np.diag(2 - j / d))
    golden = GOLDEN["analytic"][f"diag_{d}"]
    expected = golden["closed_form sum((mu1-mu2)^2)+sum((sqrt v1-sqrt v2)^2)"]
    assert frechet_distance(real, generated).value == pytest.approx(expected, rel=1e-12)
