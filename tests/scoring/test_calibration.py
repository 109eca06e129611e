import numpy as np
import pytest
from scipy.special import softmax

from service.datasets.split import Split
from service.metrics.reliability import fit_temperature
from service.runtime.in_process import LocalEngine
from service.scoring.calibration import changes, diagrams, fit_on_test, temperatures_beside
from service.scoring.classes import logits_of, name_classes, namers_of
from service.scoring.halves import halves
from service.settings import Settings
from service.store import ModelStore
from service.tasks.sureness import softmax as calibrated

CLASSES = 4


@pytest.fixture
def split() -> Split:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, CLASSES, 1000).astype(np.uint8)
    return Split(np.zeros((1000, 2, 2, 1), np.uint8), labels)


def logits_for(labels: np.ndarray, seed: int, sharpness: float) -> np.ndarray:
    """Logits of one who is mostly right, a good part of the time unsure, and too sure by this factor."""
    draw = np.random.default_rng(seed)
    means = np.eye(CLASSES)[labels] * 2
    logits: np.ndarray = (means + draw.normal(size=(len(labels), CLASSES))).astype(np.float32) * sharpness
    return logits


def test_a_temperature_that_fits_makes_the_error_and_the_loss_smaller(split: Split) -> None:
    logits = logits_for(split.labels, 1, sharpness=8.0)
    ece, nll = changes(logits, split, 4.0, "twin")
    assert ece.after < ece.before / 2
    assert nll.after < nll.before / 2


def test_what_a_temperature_of_the_test_set_changes_is_measured_by_that_of_the_other_half(split: Split) -> None:
    logits = logits_for(split.labels, 1, sharpness=8.0)
    fitted = fit_on_test(logits, split)
    assert fitted.temperature == pytest.approx(fit_temperature(logits, split.labels), abs=1e-4)
    ece, nll = changes(logits, split, fitted.temperature, fitted.on)
    flattered = changes(logits, split, fitted.temperature, "twin")[1]
    assert flattered.after < nll.after < nll.before / 2
    assert ece.after < ece.before / 2
    # an image's own label does not tell at what temperature it is measured
    found = temperatures_beside(logits, split, fitted.temperature, fitted.on)
    first, second = halves(len(split))
    other = Split(split.images, split.labels.copy())
    other.labels[first] = (other.labels[first] + 1) % CLASSES
    after = temperatures_beside(logits, other, fitted.temperature, fitted.on)
    np.testing.assert_array_equal(after[first], found[first])
    assert (after[second] > 2 * found[second]).all()


def test_the_diagrams_are_those_of_the_errors_on_the_card(split: Split) -> None:
    logits = logits_for(split.labels, 1, sharpness=8.0)
    for on in ("twin", "test-halves"):
        ece, _ = changes(logits, split, 4.0, on)
        before, after = diagrams(logits, split, 4.0, on)
        assert (ece.before, ece.after) == pytest.approx((before.ece, after.ece), rel=1e-5)


def test_halves_are_the_same_each_time_and_share_nothing() -> None:
    first, second = halves(101)
    assert sorted([*first, *second]) == list(range(101))
    assert (len(first), len(second)) == (50, 51)
    np.testing.assert_array_equal(first, halves(101)[0])


async def test_classifiers_that_name_together_count_the_same(engine: LocalEngine, store: ModelStore) -> None:
    models = [store.get("echo"), store.get("gossiping")]
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 1), np.uint8)
    each = [softmax(await logits_of(engine, model, images), axis=1) for model in models]
    together = await name_classes(engine, models, images)
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(each[0], calibrated(images.reshape(6, 4) / 25.5), atol=1e-6)


def test_generators_of_digits_are_not_named_by_their_extractor() -> None:
    store = ModelStore(Settings().shipped_models_dir)
    drawing = [store.described(model_id) for model_id in store.described_ids() if model_id.endswith("-mnist")]
    generators = [model for model in drawing if model.manifest.task == "generate"]
    assert generators
    for model in generators:
        extractor = model.manifest.training["appraised"]["extractor"]
        assert extractor not in {namer.id for namer in namers_of(model, store)}, model.id
