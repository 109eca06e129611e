import numpy as np
import pytest
from scipy.special import softmax

from service.metrics.reliability import auroc, class_gaussians, fit_temperature, negative_log_likelihood, reliability


def drawn(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are so many times too large, and labels drawn from what they should be."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(count, 5)) * 2
    chances = softmax(logits, axis=1).cumsum(axis=1)
    labels = (draw.random((count, 1)) > chances).sum(axis=1).clip(0, 4)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.2, 1.0, 6.0])
def test_the_temperature_is_what_the_logits_are_too_large_by(temperature: float) -> None:
    found = fit_temperature(*drawn(50_000, temperature))
    # the error of maximum likelihood from 50,000 draws is below one percent
    assert found == pytest.approx(temperature, rel=0.03)


def test_no_neighbouring_temperature_is_likelier() -> None:
    logits, labels = drawn(500, 3.0)
    best = fit_temperature(logits, labels)
    least = negative_log_likelihood(logits, labels, best)
    for factor in (0.98, 1.02):
        assert negative_log_likelihood(logits, labels, best * factor) > least


def test_the_likelihood_is_that_of_the_labels() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 0.0]], np.float32)
    expected = -(np.log(np.exp(1) / (np.exp(1) + 1)) + np.log(0.5)) / 2
    assert negative_log_likelihood(logits, np.array([0, 1]), 2.0) == pytest.approx(expected)


def test_the_error_of_calibration_is_the_gap_between_being_right_and_being_sure() -> None:
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    labels = np.array([0] * 6 + [1] * 4 + [1] * 6 + [0] * 4)  # right 6 times of 10 in both
    found = reliability(probabilities, labels)
    assert found.counts.sum() == 20
    assert found.ece == pytest.approx(0.5 * 0.3 + 0.5 * 0.0)


def test_a_bin_holds_its_upper_edge() -> None:
    probabilities = np.array([[0.4, 0.6], [0.39, 0.61], [0.0, 1.0]])
    assert reliability(probabilities, np.array([1, 1, 1]), bins=5).counts.tolist() == [0, 0, 1, 1, 1]


def test_a_calibrated_models_error_is_small_and_an_overconfident_ones_is_not() -> None:
    logits, labels = drawn(50_000, 4.0)
    assert reliability(softmax(logits / 4, axis=1), labels).ece < 0.01
    assert reliability(softmax(logits, axis=1), labels).ece > 0.1


def test_the_area_under_the_curve_is_the_chance_of_the_right_order() -> None:
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert auroc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 0.0
    assert auroc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    own, strange = np.random.default_rng(0).normal(size=50), np.random.default_rng(1).normal(size=40) + 1
    assert auroc(own, strange) == pytest.approx((strange > own[:, None]).mean())


def test_classes_share_the_covariance_around_their_means() -> None:
    labels = np.repeat([0, 1], 500)
    logits = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 2.0, 0.0] + labels[:, None] * 5
    means, precision = class_gaussians(logits, labels, 2)
    np.testing.assert_allclose(means, [logits[:500].mean(axis=0), logits[500:].mean(axis=0)])
    np.testing.assert_allclose(precision.diagonal(), [1.0, 0.25, 0.0], rtol=0.1, atol=1e-12)


def test_a_direction_of_rounding_alone_tells_nothing() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(1000, 3))
    logits -= logits.mean(axis=1, keepdims=True)
    logits += draw.normal(size=(1000, 1)) * 1e-4  # their sum, but for this, is always 0
    _, precision = class_gaussians(logits.astype(np.float32), np.zeros(1000, np.int64), 1)
    np.testing.assert_allclose(precision @ np.ones(3), 0, atol=1e-3)
    assert np.linalg.eigvalsh(precision)[-1] < 2
