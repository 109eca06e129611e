from pathlib import Path

import numpy as np
import pytest
from doubles import add_doubles

from service.datasets.split import Split
from service.metrics.reliability import auroc
from service.scoring.halves import halves
from service.scoring.strangeness import SHARE, learn_strangeness, strange_images
from service.settings import Settings
from service.store import ModelStore
from service.tasks.sureness import strangeness_of

CLASSES = 4
LABELS = np.random.default_rng(0).integers(0, CLASSES, 1000).astype(np.uint8)
NOISE = np.random.default_rng(3).normal(size=(100, CLASSES)).astype(np.float32)


def logits_for(labels: np.ndarray, seed: int) -> np.ndarray:
    """Logits of one who is mostly right, and a good part of the time unsure."""
    draw = np.random.default_rng(seed)
    logits: np.ndarray = (np.eye(CLASSES)[labels] * 2 + draw.normal(size=(len(labels), CLASSES))).astype(np.float32)
    return logits


def test_as_few_test_images_as_was_said_lie_beyond_the_limit_and_about_as_few_others() -> None:
    test = logits_for(LABELS, 2)
    known = learn_strangeness(test, LABELS, {"noise": NOISE}, 1.0)
    learned, others = ((strangeness_of(test[half], known, 1.0) > known.limit).mean() for half in halves(len(test)))
    assert learned == pytest.approx(SHARE, abs=2 / len(test))
    assert others == known.beyond
    assert others != learned


def test_nothing_that_is_reported_was_learned_on_the_same_images() -> None:
    test, strange = logits_for(LABELS, 2), {"noise": NOISE}
    known = learn_strangeness(test, LABELS, strange, 1.0)
    learned, others = halves(len(test))
    usual, shown = (strangeness_of(rows[halves(len(rows))[1]], known, 1.0) for rows in (test, NOISE))
    assert known.auroc[known.method]["noise"] == round(auroc(usual, shown), 4)
    # other images in the half that is measured change what is measured and nothing that is served
    changed, noise = test.copy(), NOISE.copy()
    changed[others] += 5
    noise[halves(len(noise))[1]] -= 5
    again = learn_strangeness(changed, LABELS, {"noise": noise}, 1.0)
    assert (again.method, again.limit, again.means) == (known.method, known.limit, known.means)
    assert again.auroc != known.auroc
    assert len(learned) == len(others)
    assert "500 of the test images" in known.how


@pytest.mark.parametrize(
    ("strange", "method"),
    [
        # all logits low: no class is likely, and the energy says so before the distance does
        (np.full((50, CLASSES), -0.5), "energy"),
        # the largest logits there are, of two classes at once: the energy takes it for the surest of all
        (np.array([[9.0, 9.0, 0.0, 0.0]] * 50), "distance"),
    ],
)
def test_the_method_is_chosen_that_tells_the_strange_images_best(strange: np.ndarray, method: str) -> None:
    shown = {"strange": strange.astype(np.float32)}
    known = learn_strangeness(logits_for(LABELS, 2), LABELS, shown, 1.0)
    means = {name: np.mean(list(areas.values())) for name, areas in known.auroc.items()}
    assert known.method == method
    assert means[method] == max(means.values())
    assert bool(known.means) == (method == "distance")


def test_what_is_strange_is_the_same_each_time_and_of_the_models_shape(tmp_path: Path) -> None:
    add_doubles(tmp_path)
    model = ModelStore(tmp_path).get("echo")
    split = Split(np.zeros((1000, 2, 2, 1), np.uint8), LABELS)
    first, second = (dict(strange_images(model, split, Settings(data_dir=tmp_path))) for _ in range(2))
    assert list(first) == ["uniform noise", "blanks", "blends of two"]
    for kind, images in first.items():
        assert images.shape[1:] == (2, 2, 1)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, second[kind])
