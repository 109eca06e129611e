import numpy as np

from service.metrics.metric import Side
from service.metrics.registry import METRICS


def test_halves_have_no_row_in_common_and_are_drawn_by_their_seed() -> None:
    side = Side(features=np.zeros((21, 1)))
    first, second = side.rows_of_halves(3)
    assert len(first) == len(second) == 10
    assert len({*first.tolist(), *second.tolist()}) == 20
    assert first.max() > 10 > second.min()  # not the first half and the second
    assert not np.array_equal(first, side.rows_of_halves(4)[0])
    np.testing.assert_array_equal(first, Side(probabilities=np.zeros((21, 3))).rows_of_halves(3)[0])


def test_a_metric_says_which_of_two_scores_is_the_better_one() -> None:
    higher = {"inception_score", "mode_score", "precision", "recall", "density", "coverage"}
    assert {name: metric.about.better for name, metric in METRICS.items()} == {
        name: "nearer its ideal" if name == "one_nn" else "higher" if name in higher else "lower" for name in METRICS
    }


def test_options_that_are_left_out_are_those_that_reports_of_before_were_made_with() -> None:
    assert {name: options for name, metric in METRICS.items() if (options := metric().model_dump())} == {
        "coverage": {"k": 5},
        "density": {"k": 5},
        "fid_infinity": {"split_seed": 0},
        "inception_score": {"splits": 10, "shuffle": True, "shuffle_seed": 2020},
        "kid": {"subsets": None, "subset_size": 1000, "subset_seed": 2020},
        "mmd": {
            "kernel": "gaussian",
            "bandwidth": "median",
            "sigma": None,
            "estimator": "unbiased",
            "permutations": 199,
        },
        "mode_score": {"variant": "survey"},
        "one_nn": {"permutations": 199},
        "precision": {"k": 5},
        "recall": {"k": 5},
        "sliced_wasserstein": {"projections": 128, "projection_seed": 0},
        "wasserstein": {"largest": 5000},
    }
