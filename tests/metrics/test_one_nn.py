import numpy as np
import pytest
from numpy.typing import NDArray

from service.metrics.metric import Side
from service.metrics.neighbours import neighbourhood
from service.metrics.one_nn import OneNN, _graph
from service.metrics.uncertainty import Interval

Real = NDArray[np.float64]


def rows(n: int, d: int, seed: int, scale: float = 1.0) -> Side:
    return Side(features=np.random.default_rng(seed).standard_normal((n, d)) * scale)


def test_sets_that_are_apart_are_told_apart() -> None:
    assert rows(20, 3, 1).features is not None
    far = Side(features=np.random.default_rng(2).standard_normal((30, 3)) + 100)
    score = OneNN().measure(rows(20, 3, 1), far, intervals=True)
    assert score.value == score.details["real"] == score.details["generated"] == 1
    assert score.details["p_value"] == 1 / 200
    assert isinstance(score.interval, str)


def test_a_set_and_itself_are_never_told_apart() -> None:
    score = OneNN().measure(rows(50, 3, 1), rows(50, 3, 1), intervals=True)
    assert score.value == 0
    assert score.details["p_value"] == 1


def test_a_generator_that_is_too_wide_shows_in_the_halves_and_not_in_the_whole() -> None:
    score = OneNN().measure(rows(500, 512, 1), rows(500, 512, 2, 1.05))
    assert score.value == pytest.approx(0.5, abs=0.04)
    assert float(score.details["real"]) > 0.85
    assert float(score.details["generated"]) < 0.1


def test_equal_distances_count_as_the_fraction_with_the_same_label() -> None:
    line = np.array([[0.0], [10.0], [20.0]])
    score = OneNN().measure(Side(features=line), Side(features=line + np.array([[1.0], [10.0], [10.0]])))
    # the generated 1, 20 and 30: the nearest of 30 are 20 in both sets, all others are nearest to the other set
    assert score.details["real"] == 0
    assert score.details["generated"] == pytest.approx(0.5 / 3)


def test_copies_in_one_half_are_each_others_neighbours() -> None:
    copies = Side(features=np.repeat(np.eye(3) * 10, 4, axis=0))
    score = OneNN().measure(rows(12, 3, 1), copies)
    assert score.details["generated"] == 1


def test_p_values_of_equal_distributions_are_spread_out() -> None:
    values = [
        float(
            OneNN(permutations=39)
            .measure(rows(40, 2, 2 * s), rows(40, 2, 2 * s + 1), intervals=True)
            .details["p_value"]
        )
        for s in range(60)
    ]
    assert 0.35 < float(np.mean(values)) < 0.65
    assert float(np.mean(np.array(values) <= 0.05)) <= 0.15


def test_the_p_value_depends_on_the_seed_and_the_score_does_not() -> None:
    first, second = (OneNN().measure(rows(50, 3, 1), rows(50, 3, 2), intervals=True, seed=s) for s in (1, 2))
    assert first.value == second.value
    assert first.interval == second.interval
    assert first.details["p_value"] != second.details["p_value"]


def test_the_ideal_is_what_equal_distributions_score_whatever_their_sizes() -> None:
    scores = [OneNN().measure(rows(120, 4, 2 * seed), rows(40, 4, 2 * seed + 1)) for seed in range(60)]
    ideal = float(scores[0].details["ideal"])
    assert ideal == pytest.approx((120 * 119 + 40 * 39) / (160 * 159))
    assert np.mean([score.value for score in scores]) == pytest.approx(ideal, abs=0.015)
    assert not any(score.warnings for score in scores)


def test_halves_that_their_mean_hides_are_warned_of() -> None:
    [warning] = OneNN().measure(rows(500, 512, 1), rows(500, 512, 2, 1.05)).warnings
    assert "the halves read" in warning
    assert OneNN().measure(rows(500, 8, 1), rows(500, 8, 2)).warnings == ()


def test_halves_of_unequal_sets_that_are_apart_hide_nothing() -> None:
    apart = Side(features=np.random.default_rng(2).standard_normal((30, 8)) + 100)
    score = OneNN().measure(rows(300, 8, 1), apart)
    assert (score.details["real"], score.details["generated"]) == (1, 1)
    assert score.warnings == ()


def halves_that_differ(units: int, of_each: int) -> tuple[Side, Side]:
    """Units far apart on a line: so many of two generated samples between two real ones, and else pairs of one each.

    All real samples lie nearest to a generated one, and so do all generated ones but for those of the first units.
    """
    places = 100.0 * np.arange(of_each)
    between, single = places[:units], places[units : of_each - units]
    real = np.concatenate([between, between + 2.5, single])[:, None]
    return Side(features=real), Side(features=np.concatenate([between + 1.0, between + 1.5, single + 1.0])[:, None])


@pytest.mark.parametrize(("of_each", "silent", "said"), [(100, 0.48, 0.52), (64, 0.6, 0.65), (400, 0.29, 0.31)])
def test_halves_are_warned_of_from_three_tenths_on_and_from_five_times_one_over_the_root_of_their_size(
    of_each: int, silent: float, said: float
) -> None:
    for apart in (silent, said):
        units = round(apart * of_each / 2)
        score = OneNN().measure(*halves_that_differ(units, of_each))
        assert score.details["real"] == 0
        assert score.details["generated"] == pytest.approx(2 * units / of_each)
        assert bool(score.warnings) is (apart == said)


def test_the_smaller_set_says_how_far_halves_may_differ() -> None:
    # 50 pairs of real samples, about 30 of them four generated ones each; the other 180 generated ones in pairs
    pair, about = np.array([[0.0, 0.0], [0.1, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0], [1.1, 0.0]])
    places = 100.0 * np.arange(50)[:, None, None] * [1.0, 0.0]
    line = np.stack([1e4 + 100.0 * np.arange(90).repeat(2), np.tile([0.0, 0.1], 90)], axis=1)
    real = Side(features=(places + pair).reshape(-1, 2))
    generated = Side(features=np.concatenate([(places[:30] + about).reshape(-1, 2), line]))
    score = OneNN().measure(real, generated)
    assert (score.details["real"], score.details["generated"]) == (1, 0.6)
    assert score.warnings == ()  # 300 samples a side would make 0.4 a difference, 100 do not


def test_samples_depend_on_each_other_where_one_is_the_others_nearest_or_they_share_one() -> None:
    real, generated = rows(40, 2, 1), rows(30, 2, 2, 1.2)
    assert real.features is not None
    assert generated.features is not None
    z = np.concatenate([real.features, generated.features])
    apart = np.square(z[:, None] - z[None]).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest, is_real = apart.argmin(axis=1), np.arange(70) < 40
    e = (is_real == is_real[nearest]).astype(float)
    e[is_real] -= e[is_real].mean()
    e[~is_real] -= e[~is_real].mean()
    joined = np.eye(70, dtype=bool) | (nearest[:, None] == nearest) | (nearest[:, None] == np.arange(70))
    caused = np.where(joined | joined.T, np.outer(e, e), 0.0).sum(axis=1)
    interval = OneNN().measure(real, generated, intervals=True).interval
    assert isinstance(interval, Interval)
    assert interval.generated_error == pytest.approx(np.sqrt(caused[~is_real].sum()) / 70, rel=1e-12)
    assert interval.standard_error == pytest.approx(np.sqrt(caused.sum()) / 70, rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_permuted_labels_are_scored_as_sets_of_those_samples_would_be(*, ties: bool) -> None:
    rng = np.random.default_rng(4)
    z = rng.integers(0, 3, (24, 2)).astype(float) if ties else rng.standard_normal((24, 2))
    graph = _graph(neighbourhood(Side(features=z[:14]), Side(features=z[14:]), 1))
    for _ in range(20):
        labels = np.zeros(24, bool)
        labels[rng.permutation(24)[:14]] = True
        anew = OneNN().measure(Side(features=z[labels]), Side(features=z[~labels]))
        assert graph.accuracy(labels) == pytest.approx(anew.value, rel=1e-12)


def test_a_p_value_counts_permutations_of_as_many_labels_as_there_are_samples() -> None:
    # three of the 15 ways to choose two of six take a whole pair, and these score as high as the true ones
    pairs = np.array([[0.0], [1.0], [100.0], [101.0], [200.0], [201.0]])
    sides = Side(features=pairs[:2]), Side(features=pairs[2:])
    found = OneNN(permutations=3000).measure(*sides, intervals=True).details["p_value"]
    assert found == pytest.approx(3 / 15, abs=0.03)


def test_errors_that_cancel_out_leave_what_each_sample_causes_alone() -> None:
    # alternating sets on a line: neighbours are each other's opposites, and their errors cancel out
    line = np.arange(40.0) + 0.3 * (np.arange(40) % 2)
    real, generated = (Side(features=line[start::2][:, None]) for start in (0, 1))
    score = OneNN().measure(real, generated, intervals=True)
    assert score.value == 0
    mixed = Side(features=np.append(line[1::2], [500.0, 500.5])[:, None])
    interval = OneNN().measure(real, mixed, intervals=True).interval
    assert isinstance(interval, Interval)
    hits = np.array([0.0] * 20 + [1.0, 1.0])
    assert interval.generated_error >= (np.square(hits - hits.mean()).sum() ** 0.5) / 42 - 1e-12
