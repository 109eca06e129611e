import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.tasks.intervals import half_widths, independent, widening

NEXT_TO_EACH_OTHER: NDArray[np.float64] = np.arange(40.0)
FAR_APART = 1000 * NEXT_TO_EACH_OTHER
SIGNS = np.where(np.arange(40) % 2, 1, -1)[:, None, None]
WIDTHS = st.lists(st.floats(0, 100), min_size=1, max_size=30)


@given(WIDTHS)
def test_widths_never_shrink_and_keep_their_mean(widths: list[float]) -> None:
    found = widening(np.array(widths))
    assert (np.diff(found) >= -1e-9).all()
    np.testing.assert_allclose(found.mean(), np.mean(widths), atol=1e-9)


@given(WIDTHS)
def test_widths_that_grow_stay_as_they_are(widths: list[float]) -> None:
    ordered = np.sort(np.array(widths))
    np.testing.assert_allclose(widening(ordered), ordered)


def test_half_the_width_is_the_error_that_the_share_stayed_within() -> None:
    sizes = np.arange(1.0, 40.0)[:, None, None] * np.array([1.0, 2.0, 3.0])[:, None]  # 39 starts, 3 leads
    errors = sizes * SIGNS[:39]  # no two neighbours alike: all of them count
    half, warnings = half_widths(errors, FAR_APART[:39], 3, 0.95)
    assert half is not None
    np.testing.assert_allclose(half[:, 0], [38, 76, 114])
    assert warnings == ()
    np.testing.assert_allclose(half_widths(errors, FAR_APART[:39], 2, 0.5).half, [[20], [40]])  # type: ignore[arg-type]


def test_forecasts_that_go_wrong_together_count_as_few_and_make_the_interval_wider() -> None:
    rng = np.random.default_rng(0)
    apart, together = rng.normal(size=(40, 1, 1)), np.repeat(rng.normal(size=(5, 1, 1)), 8, axis=0)
    assert independent(apart, NEXT_TO_EACH_OTHER)[0, 0] > 25
    assert independent(together, NEXT_TO_EACH_OTHER)[0, 0] > 39  # a lead of one step: none of them overlap
    overlapping = np.repeat(together, 20, axis=1)
    assert 2 < independent(overlapping, NEXT_TO_EACH_OTHER)[-1, 0] < 10
    few, many = (
        half_widths(errors, NEXT_TO_EACH_OTHER, 20, 0.95).half for errors in (overlapping, overlapping * SIGNS)
    )
    assert few is not None
    assert many is not None
    assert (few[-1] > 1.1 * many[-1]).all()


def test_forecasts_that_do_not_overlap_count_each() -> None:
    same = np.ones((40, 3, 2))
    assert independent(same, 3 * NEXT_TO_EACH_OTHER).tolist() == [[40, 40]] * 3
    np.testing.assert_allclose(independent(same, NEXT_TO_EACH_OTHER)[2], [14, 14])


def test_one_earlier_forecast_counts_as_one() -> None:
    assert independent(np.ones((1, 2, 1)), np.array([7.0])).tolist() == [[1], [1]]


def test_beyond_what_was_measured_the_interval_grows_with_the_root_of_time() -> None:
    half, warnings = half_widths(np.ones((40, 4, 1)), FAR_APART, 16, 0.9)
    assert half is not None
    assert half[3, 0] == 1
    assert half[15, 0] == 2
    assert warnings == ("beyond step 4 the interval is extended with the root of time, not measured",)


def test_too_few_earlier_forecasts_are_told_of() -> None:
    half, warnings = half_widths(np.arange(5.0)[:, None, None], FAR_APART[:5], 1, 0.95)
    assert half is not None
    assert half.tolist() == [[4]]
    assert warnings == ("the interval rests on 5 earlier forecasts, too few for a level of 0.95",)


def test_without_earlier_forecasts_there_is_no_interval() -> None:
    half, warnings = half_widths(np.zeros((0, 0, 1)), np.zeros(0), 5, 0.95)
    assert half is None
    assert "too short" in warnings[0]


def test_earlier_forecasts_that_diverged_leave_no_interval_from_there_on() -> None:
    errors = np.ones((40, 5, 1))
    errors[:, 3:] = np.nan
    half, warnings = half_widths(errors, FAR_APART, 5, 0.95)
    assert half is not None
    assert np.isfinite(half[:3]).all()
    assert not np.isfinite(half[3:]).any()
    assert warnings == ("earlier forecasts diverged: no interval from step 4 on",)


def test_errors_without_bounds_are_no_error_here() -> None:
    errors = np.full((40, 3, 1), 1e200)
    errors[:20, 1] = np.inf
    errors[:, 2] = np.nan
    half, _ = half_widths(errors, NEXT_TO_EACH_OTHER, 3, 0.95)
    assert half is not None
    assert np.isfinite(half[0]).all()
    assert np.isinf(half[1:]).all()
