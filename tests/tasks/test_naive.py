import numpy as np

from service.tasks.naive import better_than, naive_misses

TEETH = np.tile([0.0, 1.0, 4.0], 20)[:, None]


def test_naive_forecasts_are_off_by_what_anybody_can_work_out() -> None:
    line = np.arange(0.0, 40.0, 2.0)[:, None]
    misses = naive_misses(line, np.array([10.0, 12.0]), 3, 1)
    assert misses.keys() == {"last_value", "drift"}
    assert misses["last_value"].tolist() == [4]
    np.testing.assert_allclose(misses["drift"], [0], atol=1e-12)
    assert naive_misses(TEETH, np.array([30.0, 31.0]), 7, 3)["seasonal_naive"].tolist() == [0]


def test_without_a_whole_season_before_there_is_no_seasonal_forecast() -> None:
    assert "seasonal_naive" not in naive_misses(TEETH, np.array([2.0, 30.0]), 5, 3)


def test_the_first_point_has_a_last_value_and_no_slope() -> None:
    misses = naive_misses(TEETH, np.array([1.0]), 2, 1)
    assert misses["drift"].tolist() == misses["last_value"].tolist() == [2.5]


def test_the_best_is_named_only_where_it_is_better() -> None:
    naive = {"last_value": np.array([2.0, 30.0]), "drift": np.array([3.0, 10.0])}
    scale = np.array([1.0, 10.0])
    assert better_than(np.array([4.0, 10.0]), naive, scale) == "drift"
    assert better_than(np.array([3.0, 10.0]), naive, scale) is None
    assert better_than(np.array([np.nan, 1.0]), naive, scale) == "drift"
