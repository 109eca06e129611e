from pathlib import Path

import numpy as np
import pytest
from doubles import add_doubles
from scipy.special import softmax

from service.datasets.split import Split
from service.runtime.in_process import LocalEngine
from service.scoring.calibration import SHARE, changes, choose_strangeness, strange_images
from service.scoring.classes import logits_of, name_classes, namers_of
from service.settings import Settings
from service.store import ModelStore
from service.tasks.sureness import softmax as calibrated
from service.tasks.sureness import strangeness_of

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
    ece, nll = changes(logits, split, 4.0)
    assert ece.after < ece.before / 2
    assert nll.after < nll.before / 2


def test_as_few_test_images_as_was_said_lie_beyond_the_limit(split: Split) -> None:
    test = logits_for(split.labels, 2, 1.0)
    strange = {"noise": np.random.default_rng(3).normal(size=(100, CLASSES)).astype(np.float32)}
    known = choose_strangeness(logits_for(split.labels, 1, 1.0), split.labels, test, strange, 1.0)
    beyond = strangeness_of(test, known, 1.0) > known.limit
    assert beyond.mean() == pytest.approx(SHARE, abs=1 / len(test))


@pytest.mark.parametrize(
    ("strange", "method"),
    [
        # all logits low: no class is likely, and the energy says so before the distance does
        (np.full((50, CLASSES), -0.5), "energy"),
        # the largest logits there are, of two classes at once: the energy takes it for the surest of all
        (np.array([[9.0, 9.0, 0.0, 0.0]] * 50), "distance"),
    ],
)
def test_the_method_is_chosen_that_tells_the_strange_images_best(
    split: Split, strange: np.ndarray, method: str
) -> None:
    seen, test = logits_for(split.labels, 1, 1.0), logits_for(split.labels, 2, 1.0)
    shown = {"strange": strange.astype(np.float32)}
    known = choose_strangeness(seen, split.labels, test, shown, 1.0)
    means = {name: np.mean(list(areas.values())) for name, areas in known.auroc.items()}
    assert known.method == method
    assert means[method] == max(means.values())
    assert bool(known.means) == (method == "distance")


def test_what_is_strange_is_the_same_each_time_and_of_the_models_shape(tmp_path: Path, split: Split) -> None:
    add_doubles(tmp_path)
    model = ModelStore(tmp_path).get("echo")
    first, second = (dict(strange_images(model, split, Settings(data_dir=tmp_path))) for _ in range(2))
    assert list(first) == ["uniform noise", "blanks", "blends of two"]
    for kind, images in first.items():
        assert images.shape[1:] == (2, 2, 1)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, second[kind])


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
