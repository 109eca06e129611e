"""Arrays that callers send: what their numbers are and how they lie is looked at before anything is computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.packing import LIMITS, digits, npz
from numpy.typing import NDArray

from service.errors import InvalidSamples, UnreadableArchive
from service.evaluation.samples.archives import open_samples
from service.evaluation.samples.reading import Samples
from service.evaluation.samples.spool import ImageShape

Open = Callable[..., Samples]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_arrays(**arrays: NDArray[Any]) -> Samples:
        number = len(list(tmp_path.iterdir()))
        working_dir = tmp_path / f"work{number}"
        working_dir.mkdir()
        upload = npz(tmp_path / f"{number}.npz", arrays)
        return open_samples(upload, working_dir=working_dir, shape=ImageShape((12, 12), 1), limits=LIMITS)

    return open_arrays


@pytest.mark.parametrize("kind", ["f16", "c32", "V16"])
def test_numbers_of_more_than_eight_bytes_are_refused(kind: str, opened: Open) -> None:
    with pytest.raises(UnreadableArchive, match=r"holds .*; only integers and real numbers are read"):
        opened(features=np.zeros((4, 2), kind))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("damaged", ["features", "logits"])
def test_numbers_that_are_none_are_refused_by_the_callers_own_row(number: float, damaged: str, opened: Open) -> None:
    rng = np.random.default_rng(0)
    arrays = {"features": rng.standard_normal((20, 5)), "logits": rng.standard_normal((20, 3))}
    arrays[damaged][7, 1] = number
    with pytest.raises(InvalidSamples, match=r"Row 7 of the uploaded .* is NaN or infinite"):
        opened(**arrays)


def test_samples_that_differ_in_their_logits_alone_are_different_sets_and_keep_their_own(opened: Open) -> None:
    features, logits = np.ones((4, 2)), np.arange(12.0).reshape(4, 3)
    first, turned = opened(features=features, logits=logits), opened(features=features, logits=logits[::-1])
    assert first.sha256 == turned.sha256 != opened(features=features, logits=logits + 1).sha256
    assert first.logits is not None
    np.testing.assert_array_equal(first.logits, turned.logits)
    assert first.warnings == ()


def test_arrays_that_lie_column_by_column_are_read_as_what_they_are(opened: Open) -> None:
    features = np.random.default_rng(0).standard_normal((20, 5))
    first, other = opened(features=features), opened(features=np.asfortranarray(features))
    np.testing.assert_array_equal(first.features, other.features)


def test_rows_are_not_their_own_bytes_in_another_shape(opened: Open) -> None:
    images = digits(4)
    assert opened(images=images).sha256 != opened(images=images.reshape(4, 6, 24, 1)).sha256


def test_features_are_not_images_of_the_same_bytes(opened: Open) -> None:
    pixels = digits(4)
    assert opened(images=pixels).sha256 != opened(features=pixels.reshape(4, 144)).sha256
