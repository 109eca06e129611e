from typing import Any

import numpy as np
import pytest
from evaluation.packing import digits
from numpy.typing import NDArray

from service.evaluation.figures import compute
from service.evaluation.figures.compute import Lot, compute_figures
from service.evaluation.figures.data import Figures, pack
from service.metrics.fid import fid
from service.metrics.metric import Side
from service.metrics.statistics import statistics_of

RNG = np.random.default_rng(0)
REAL: NDArray[Any] = RNG.normal(size=(200, 6)) @ np.diag([9.0, 5.0, 1, 1, 1, 1])
MADE: NDArray[Any] = RNG.normal(size=(160, 6)) @ np.diag([9.0, 5.0, 1, 1, 1, 1]) + 0.5
PICTURES = digits(200, size=4)


def lot(rows: NDArray[Any], *, pictures: bool = True, classes: int = 3) -> Lot:
    probabilities = np.eye(classes)[np.abs(rows[:, 0]).astype(int) % classes]
    return Lot(Side(features=rows, probabilities=probabilities), PICTURES[: len(rows)] if pictures else None)


def computed(generated: Lot, reference: Lot, **options: Any) -> Figures:
    return compute_figures(generated, reference, **options)


def test_the_same_samples_and_seed_give_the_same_figures() -> None:
    first, second = (computed(lot(MADE), lot(REAL), seed=3) for _ in range(2))
    assert pack(first) == pack(second)


def test_the_projection_is_the_principal_components_of_both_sets() -> None:
    shown = computed(lot(MADE), lot(REAL)).projection
    assert shown is not None
    assert (shown.real.shape, shown.generated.shape) == ((200, 2), (160, 2))
    both = np.concatenate([REAL - (REAL.mean(0) + MADE.mean(0)) / 2, MADE - (REAL.mean(0) + MADE.mean(0)) / 2])
    weighted = both * np.repeat([200**-0.5, 160**-0.5], [200, 160])[:, None] / np.sqrt(2)
    _, singular, axes = np.linalg.svd(weighted, full_matrices=False)
    assert np.abs(shown.real) == pytest.approx(np.abs(both[:200] @ axes[:2].T), abs=1e-6)
    assert shown.shares == pytest.approx(singular[:2] ** 2 / (singular**2).sum())


@pytest.mark.parametrize("rows", [np.zeros((9, 3)), np.ones((9, 1)), np.arange(9.0)[:, None]])
def test_features_without_spread_or_of_one_dimension_can_be_shown(rows: NDArray[Any]) -> None:
    shown = computed(lot(rows), lot(rows[:4]))
    assert shown.projection is not None
    assert np.isfinite(shown.projection.real).all()
    assert np.isfinite(shown.projection.shares).all()
    assert shown.pairs is not None


def test_of_what_cannot_be_measured_nothing_is_shown() -> None:
    broken = MADE.copy()
    broken[3, 2] = np.nan
    for pair in ((lot(broken), lot(REAL)), (lot(REAL), lot(broken))):
        assert pack(computed(*pair)) == pack(Figures())


def test_the_shares_of_the_classes_are_counted() -> None:
    shown = computed(lot(MADE), lot(REAL), labels=("a", "b", "c")).classes
    assert shown is not None
    assert shown.labels.tolist() == ["a", "b", "c"]
    assert shown.real.sum() == pytest.approx(1)
    assert shown.generated[1] == (np.abs(MADE[:, 0]).astype(int) % 3 == 1).mean()
    unnamed = computed(lot(MADE), lot(REAL), labels=("a",)).classes
    assert unnamed is not None
    assert unnamed.labels.tolist() == ["0", "1", "2"]
    assert computed(lot(MADE), lot(REAL, classes=4)).classes is None


def test_the_nearest_pairs_are_those_of_an_exhaustive_search() -> None:
    copied = MADE.copy()
    copied[7] = REAL[11]
    shown = computed(lot(copied), lot(REAL))
    assert shown.pairs is not None
    distances = np.linalg.norm(copied[:, None] - REAL[None], axis=2)
    assert shown.pairs.distances == pytest.approx(np.sort(distances.min(axis=1))[:12])
    assert shown.pairs.distances[0] == 0
    assert np.array_equal(shown.pairs.generated[0], PICTURES[7])
    assert np.array_equal(shown.pairs.real[0], PICTURES[11])
    among = np.linalg.norm(REAL[:, None] - REAL[None], axis=2) + np.diag(np.full(200, np.inf))
    assert shown.pairs.spacing == pytest.approx([np.median(distances.min(axis=1)), np.median(among.min(axis=1))])
    assert shown.pairs.searched.tolist() == [160, 200]


def test_a_sample_is_as_typical_as_its_fifth_neighbour_is_near() -> None:
    outlier = MADE.copy()
    outlier[3] = 100.0
    shown = computed(lot(outlier), lot(REAL)).typicality
    assert shown is not None
    fifth = np.sort(np.linalg.norm(outlier[:, None] - REAL[None], axis=2), axis=1)[:, 4]
    assert shown.distances[0] == pytest.approx(np.sort(fifth)[:12])
    assert shown.distances[1] == pytest.approx(np.sort(fifth)[::-1][:12])
    assert np.array_equal(shown.least[0], PICTURES[3])


def test_copies_in_the_reference_count_as_neighbours_each() -> None:
    copies = np.repeat(REAL[:5], 40, axis=0)
    shown = computed(lot(MADE), lot(copies)).typicality
    assert shown is not None
    nearest = np.linalg.norm(MADE[:, None] - REAL[None, :5], axis=2).min(axis=1)
    assert shown.distances[0] == pytest.approx(np.sort(nearest)[:12])
    assert shown.distances[1] == pytest.approx(np.sort(nearest)[::-1][:12])


def test_a_search_that_would_take_long_looks_at_some_of_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "SEARCH_PRODUCTS", 160 * 200 * 6 // 4)
    shown = computed(lot(MADE), lot(REAL)).pairs
    assert shown is not None
    assert shown.searched.tolist() == [80, 100]


@pytest.mark.parametrize(
    "reference", [Side(features=REAL), Side(features=REAL[:5]), Side(statistics=statistics_of(REAL))]
)
def test_the_curve_is_fid_of_parts(reference: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "_chosen", lambda total, count, _rng: np.arange(min(total, count)))
    shown = computed(Lot(Side(features=MADE)), Lot(reference)).curve
    assert shown is not None
    assert shown.sizes.tolist() == [20, 40, 80]
    real = REAL if reference.features is None else reference.features
    expected = [fid(real, MADE[:size]).value for size in shown.sizes]
    assert shown.values[:, 0] == pytest.approx(expected, rel=1e-6)


def test_parts_that_are_dear_are_measured_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "CURVE_PRODUCTS", 2 * (40 * 36 + 8 * 216))
    shown = computed(lot(MADE), lot(REAL)).curve
    assert shown is not None
    assert np.isfinite(shown.values).sum(axis=1).tolist() == [2, 2, 1]
    monkeypatch.setattr(compute, "CURVE_PRODUCTS", 1)
    assert computed(lot(MADE), lot(REAL)).curve is None


def test_statistics_alone_show_nothing_and_features_alone_no_pictures() -> None:
    statistics = Lot(Side(statistics=statistics_of(REAL)))
    assert pack(computed(statistics, statistics)) == pack(Figures())
    bare = computed(lot(MADE, pictures=False), lot(REAL, pictures=False))
    assert (bare.pairs, bare.typicality) == (None, None)
    assert bare.projection is not None
    assert computed(lot(MADE), lot(REAL), curve=False).curve is None


def test_a_reference_without_pictures_leaves_its_side_empty_and_large_pictures_become_small() -> None:
    wide = Lot(lot(MADE).side, np.zeros((160, 100, 200, 3), np.uint8))
    shown = computed(wide, lot(REAL, pictures=False)).pairs
    assert shown is not None
    assert shown.generated.shape == (12, 48, 96, 3)
    assert len(shown.real) == 0
