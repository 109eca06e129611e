from pathlib import Path

import numpy as np
import pytest
from doubles import add_forecaster

from service.datasets.registry import find_series
from service.datasets.series import Series
from service.runtime.in_process import LocalEngine
from service.scoring.forecasts import continuations, forecast_scores, nmse, nrmse, valid_steps
from service.store import ModelStore


def test_errors_are_told_in_variances_of_the_truth() -> None:
    truth = np.array([[0.0, 0.0], [2.0, 20.0]])
    assert nmse(truth + np.array([1.0, 10.0]), truth) == pytest.approx(1.0)
    assert nrmse(truth[:, 0] + 0.5, truth[:, 0], 4.0) == pytest.approx(0.25)


def test_a_forecast_is_valid_until_it_first_strays() -> None:
    truth = np.zeros((6, 2))
    found = np.array([[0.0, 0], [0.3, 0], [0.3, 0.4], [0, 0], [9, 9], [0, 0]])
    assert valid_steps(found, truth, 1.0) == 2
    assert valid_steps(found, truth, 4.0) == 4
    assert valid_steps(truth, truth, 1.0) == 6


async def test_forecasts_are_compared_with_what_came(models_dir: Path, store: ModelStore, engine: LocalEngine) -> None:
    add_forecaster(models_dir)
    model = store.get("murmur")
    test = find_series("mackey-glass").load(models_dir, "test")
    found, truth = await continuations(model, engine, Series.of(test.values[:2500]), count=3, horizon=5)
    assert found.shape == truth.shape == (3, 5, 1)
    assert np.array_equal(truth[0, :, 0], test.values[2000:2005, 0])
    assert np.array_equal(truth[-1, :, 0], test.values[2495:2500, 0])
    assert np.abs(found - truth).max() < 0.1


@pytest.mark.parametrize(
    ("dataset", "length", "score"), [("mackey-glass", 2400, "nrmse84"), ("another.csv", 2400, "nrmse")]
)
async def test_a_dataset_has_the_score_by_which_it_is_known(
    dataset: str, length: int, score: str, models_dir: Path, store: ModelStore, engine: LocalEngine
) -> None:
    add_forecaster(models_dir)
    manifest = models_dir / "murmur" / "model.toml"
    manifest.write_text(manifest.read_text().replace("mackey-glass", dataset))
    test = Series.of(find_series("mackey-glass").load(models_dir, "test").values[:length])
    scores = await forecast_scores(store.get("murmur"), engine, test)
    assert scores.keys() == {score}
    assert 0 < scores[score].value < 2
    assert scores[score].on == f"{dataset} test"
