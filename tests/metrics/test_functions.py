import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.generators import FEATURES, LOGITS

from service.errors import InvalidRequest, InvalidSamples
from service.metrics import functions
from service.metrics.metric import NOT_ASKED, Score, Side
from service.metrics.registry import METRICS, build_metric
from service.metrics.samples import softmax
from service.metrics.uncertainty import FEW, Interval

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text("utf-8"))
CASE = "gauss_500x64"
CLASSES = "c10_1000"
OF_PROBABILITIES = ("inception_score", "mode_score")
FUNCTIONS = [
    name
    for name, found in inspect.getmembers(functions, inspect.isfunction)
    if found.__module__ == functions.__name__ and not name.startswith("_")
]
OF_FEATURES = [name for name in FUNCTIONS if name not in OF_PROBABILITIES]
WITH_A_P_VALUE = [name for name in FUNCTIONS if "p_value" in METRICS[name].about.parts]

every_function = pytest.mark.parametrize("name", FUNCTIONS)


def function(name: str) -> Callable[..., Score]:
    found: Callable[..., Score] = getattr(functions, name)
    return found


def arguments(name: str) -> tuple[Any, ...]:
    """Two golden sets in the order that the function takes them: the generated one first."""
    if name in OF_FEATURES:
        real, generated = (build() for build in FEATURES[CASE])
        return generated, real
    expected, judged = (softmax(build(), "given") for build in LOGITS[CLASSES])
    return (judged,) if name == "inception_score" else (judged, expected)


@every_function
def test_a_function_takes_the_options_of_its_metric_with_their_defaults(name: str) -> None:
    parameters = inspect.signature(function(name)).parameters
    options = {found.name: found.default for found in parameters.values() if found.kind is found.KEYWORD_ONLY}
    asked = {"intervals": False} | ({"seed": 0} if name in WITH_A_P_VALUE else {})
    assert options == {found: field.default for found, field in METRICS[name].model_fields.items()} | asked
    annotations = {found: parameters[found].annotation for found in METRICS[name].model_fields}
    assert annotations == {found: field.annotation for found, field in METRICS[name].model_fields.items()}


@every_function
def test_a_function_says_what_its_metric_does(name: str) -> None:
    sides = [Side(features=rows, probabilities=rows) for rows in arguments(name)]
    generated, reference = sides if len(sides) == 2 else (sides[0], Side())
    expected = build_metric(name).measure(reference, generated, intervals=True)
    assert function(name)(*arguments(name), intervals=True) == expected
    assert function(name)(*arguments(name)).interval == NOT_ASKED


@pytest.mark.parametrize(
    ("name", "options", "golden"),
    [
        ("fid", {}, lambda found: found["fid"]["torch_fidelity"]),
        ("kid", {}, lambda found: found["kid_unbiased_full_set"]),
        ("mmd", {"sigma": 10.0}, lambda found: found["mmd2_rbf_sigma10_unbiased"]),
        ("one_nn", {}, lambda found: found["one_nn"]["acc"]),
        ("precision", {"k": 3}, lambda found: found["prdc_k3"]["precision"]),
        ("recall", {"k": 3}, lambda found: found["prdc_k3"]["recall"]),
        ("density", {}, lambda found: found["prdc_k5"]["density"]),
        ("coverage", {}, lambda found: found["prdc_k5"]["coverage"]),
        ("memorisation", {}, lambda found: 1 - found["authpct"] / 100),
        ("wasserstein", {}, lambda found: found["wasserstein_1"]),
    ],
)
def test_a_value_is_the_golden_one(
    name: str, options: dict[str, object], golden: Callable[[dict[str, Any]], float]
) -> None:
    value = float(function(name)(*arguments(name), **options))
    assert value == pytest.approx(golden(GOLDEN["features"][CASE]), rel=1e-6, abs=1e-7)


def test_the_scores_of_probabilities_are_the_golden_ones() -> None:
    generated, reference = arguments("mode_score")
    golden = GOLDEN["logits"][CLASSES]
    convention = golden["inception_score_10_splits_shuffled_seed_2020"]
    assert functions.inception_score(generated).value == pytest.approx(convention["inception_score_mean"], rel=1e-9)
    for variant in ("survey", "che"):
        score = functions.mode_score(generated, reference, variant=variant)
        assert score.value == pytest.approx(golden[f"mode_score_{variant}"], rel=1e-9)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_tensors_are_measured_as_arrays_are(name: str) -> None:
    generated, reference = (rows[:60, :8] for rows in arguments(name))
    tensors = [torch.from_numpy(rows.copy()).requires_grad_() for rows in (generated, reference)]
    assert function(name)(*tensors) == function(name)(generated, reference)


def test_two_samples_a_side_have_no_interval() -> None:
    generated, reference = arguments("fid")
    assert isinstance(functions.fid(generated, reference[:20], intervals=True).interval, Interval)
    assert functions.fid(generated, reference[:2], intervals=True).interval == FEW


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda x: functions.mmd(x, x, sigma=-1.0), InvalidRequest, r"mmd\.sigma"),
        (lambda x: functions.kid(x, x, subsets=2, subset_size=9000), InvalidSamples, "fewer than the 9000"),
        (lambda x: functions.precision(x, x[:5]), InvalidSamples, "precision needs more than 5 samples of each side"),
        (lambda x: functions.fid(x, x[:, :3]), InvalidSamples, "reference features have 3 dimensions"),
        (lambda x: functions.fid(np.where(x > 1, np.nan, x), x), InvalidSamples, "NaN"),
        (lambda x: functions.fid(x, x.astype(str)), InvalidSamples, "real numbers are needed"),
        (lambda x: function("fid")(x, None), InvalidSamples, "shape"),
        (lambda x: functions.inception_score(x), InvalidSamples, "not a distribution"),
        (lambda x: function("kid")(x, x, subset=3), TypeError, "unexpected keyword argument 'subset'"),
    ],
)
def test_what_cannot_be_measured_is_said(ask: Callable[[Any], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask(arguments("fid")[0])
