import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.special import softmax as exact_softmax

from service.calibration import Calibration, Change, Strangeness
from service.tasks.sureness import (
    FEW,
    energy,
    probabilities_of,
    probability_lists,
    softmax,
    strangeness_list,
    strangeness_of,
)

LOGITS = np.random.default_rng(0).normal(size=(20, 4)) * 30
MEANS = np.random.default_rng(1).normal(size=(4, 4)) * 10
ROOT = np.random.default_rng(2).normal(size=(4, 4))
PRECISION = ROOT @ ROOT.T


def known_by(method: str) -> Strangeness:
    known = {"method": method, "limit": 1.0, "share": 0.05, "auroc": {"distance": {"noise": 0.9}}}
    tables = {"means": MEANS.tolist(), "precision": PRECISION.tolist()} if method == "distance" else {}
    return Strangeness.model_validate({**known, **tables})


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_probabilities_are_the_softmax_at_the_temperature(temperature: float) -> None:
    np.testing.assert_allclose(softmax(LOGITS, temperature), exact_softmax(LOGITS / temperature, axis=1), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_the_energy_is_minus_the_temperature_times_the_log_of_the_sum(temperature: float) -> None:
    expected = -temperature * logsumexp(LOGITS / temperature, axis=1)
    np.testing.assert_allclose(energy(LOGITS, temperature), expected, rtol=1e-12)
    np.testing.assert_allclose(strangeness_of(LOGITS, known_by("energy"), temperature), expected, rtol=1e-12)


def test_the_distance_is_that_to_the_nearest_class() -> None:
    expected = [min(mahalanobis(row, mean, PRECISION) for mean in MEANS) for row in LOGITS]
    np.testing.assert_allclose(strangeness_of(LOGITS, known_by("distance"), 3.0), expected, rtol=1e-9)


@pytest.mark.parametrize("method", ["distance", "energy"])
def test_one_image_is_as_strange_alone_as_among_others(method: str) -> None:
    known = known_by(method)
    alone = [strangeness_list(row[None], known, 3.0)[0] for row in LOGITS]
    np.testing.assert_allclose(alone, strangeness_of(LOGITS, known, 3.0), rtol=1e-12)
    np.testing.assert_allclose(strangeness_list(LOGITS, known, 3.0), alone, rtol=1e-12)


@pytest.mark.parametrize("classes", [1, 4, FEW, FEW + 1])
def test_probabilities_are_the_same_in_lists(classes: int) -> None:
    logits = (np.random.default_rng(classes).normal(size=(3, classes)) * 30).astype(np.float32)
    np.testing.assert_allclose(probability_lists(logits, None), probabilities_of(logits, None), rtol=1e-12)


def test_an_image_in_the_middle_of_a_class_has_no_distance() -> None:
    np.testing.assert_allclose(strangeness_of(MEANS, known_by("distance"), 1.0), 0.0, atol=1e-5)


@given(st.lists(st.floats(-300, 300, width=32), min_size=2, max_size=12), st.floats(0.05, 50))
def test_a_temperature_changes_how_sure_a_model_is_and_never_the_order_of_its_labels(
    row: list[float], temperature: float
) -> None:
    logits = np.array([row], np.float32)
    found = softmax(logits, temperature)
    assert found.sum() == pytest.approx(1.0)
    assert (np.diff(found[0, np.argsort(logits[0], kind="stable")]) >= 0).all()


def test_without_a_calibration_the_temperature_is_one() -> None:
    change = Change(before=0.2, after=0.1)
    calibration = Calibration(temperature=2.0, how="in a test", ece=change, nll=change, strangeness=known_by("energy"))
    np.testing.assert_array_equal(probabilities_of(LOGITS, None), softmax(LOGITS, 1.0))
    np.testing.assert_array_equal(probabilities_of(LOGITS, calibration), softmax(LOGITS, 2.0))
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_a_card_of_before_there_were_two_ways_was_fitted_on_a_twin() -> None:
    change = {"before": 0.1, "after": 0.05}
    known = {"method": "energy", "limit": -5.0, "share": 0.05, "auroc": {"energy": {"noise": 0.9}}}
    written = {"temperature": 2.0, "how": "in a test", "ece": change, "nll": change, "strangeness": known}
    calibration = Calibration.model_validate(written)
    assert calibration.fitted_on == "twin"
    assert calibration.strangeness.beyond is None
