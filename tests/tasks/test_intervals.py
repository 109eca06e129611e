import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.tasks.intervals import half_widths, widening

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
    errors = np.arange(1.0, 40.0)[:, None, None] * np.array([1.0, 2.0, 3.0])[:, None]  # 39 starts, 3 leads
    half, warnings = half_widths(errors[::-1], 3, 0.95)
    assert half is not None
    assert half[:, 0].tolist() == [38, 76, 114]
    assert warnings == ()
    assert half_widths(errors, 2, 0.5).half.tolist() == [[20], [40]]  # type: ignore[union-attr]


def test_beyond_what_was_measured_the_interval_grows_with_the_root_of_time() -> None:
    half, warnings = half_widths(np.ones((40, 4, 1)), 16, 0.9)
    assert half is not None
    assert half[3, 0] == 1
    assert half[15, 0] == 2
    assert warnings == ("beyond step 4 the interval is extended with the root of time, not measured",)


def test_too_few_earlier_forecasts_are_told_of() -> None:
    half, warnings = half_widths(np.arange(5.0)[:, None, None], 1, 0.95)
    assert half is not None
    assert half.tolist() == [[4]]
    assert warnings == ("the interval rests on 5 earlier forecasts, too few for a level of 0.95",)


def test_without_earlier_forecasts_there_is_no_interval() -> None:
    half, warnings = half_widths(np.zeros((0, 0, 1)), 5, 0.95)
    assert half is None
    assert "too short" in warnings[0]


def test_earlier_forecasts_that_diverged_leave_no_interval_from_there_on() -> None:
    errors = np.ones((40, 5, 1))
    errors[:, 3:] = np.nan
    half, warnings = half_widths(errors, 5, 0.95)
    assert half is not None
    assert np.isfinite(half[:3]).all()
    assert not np.isfinite(half[3:]).any()
    assert warnings == ("earlier forecasts diverged: no interval from step 4 on",)
