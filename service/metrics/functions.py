"""The metrics as functions of arrays: `name(generated, reference)` of features, or of class probabilities.

    fid(generated, reference).value

They are those of the registry, with the same options and defaults. With `intervals` a score has its interval, or the
reason why there is none, and where the metric has one its p-value, whose permutations `seed` draws. All raise
InvalidSamples for what cannot be measured and InvalidRequest for an option out of range.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from service.batches import Array, array_of
from service.errors import InvalidSamples
from service.metrics.linear_algebra import one_thread
from service.metrics.metric import Score, Side, interval_of
from service.metrics.registry import build_metric

Options = Mapping[str, object]


def fid(generated: Array, reference: Array, *, intervals: bool = False) -> Score:
    """Fréchet distance, squared, of features (m, d) and (n, d)."""
    return _of_features("fid", {}, generated, reference, intervals=intervals)


def fid_infinity(generated: Array, reference: Array, *, split_seed: int = 0, intervals: bool = False) -> Score:
    """FID extrapolated to infinitely many samples on both sides."""
    return _of_features("fid_infinity", {"split_seed": split_seed}, generated, reference, intervals=intervals)


def kid(
    generated: Array,
    reference: Array,
    *,
    subsets: int | None = None,
    subset_size: int = 1000,
    subset_seed: int = 2020,
    intervals: bool = False,
) -> Score:
    """Kernel Inception Distance: unbiased MMD² of a cubic kernel, on whole sets, or averaged over random subsets."""
    options = {"subsets": subsets, "subset_size": subset_size, "subset_seed": subset_seed}
    return _of_features("kid", options, generated, reference, intervals=intervals)


def mmd(
    generated: Array,
    reference: Array,
    *,
    kernel: Literal["gaussian", "rational_quadratic", "polynomial"] = "gaussian",
    bandwidth: Literal["median", "mean"] = "median",
    sigma: float | None = None,
    estimator: Literal["unbiased", "biased"] = "unbiased",
    permutations: int = 199,
    intervals: bool = False,
    seed: int = 0,
) -> Score:
    """Squared maximum mean discrepancy; σ comes from the reference by the rule `bandwidth` unless it is given."""
    options = {
        "kernel": kernel,
        "bandwidth": bandwidth,
        "sigma": sigma,
        "estimator": estimator,
        "permutations": permutations,
    }
    return _of_features("mmd", options, generated, reference, intervals=intervals, seed=seed)


def wasserstein(generated: Array, reference: Array, *, largest: int = 5000, intervals: bool = False) -> Score:
    """The 1-Wasserstein distance, exact; refused above `largest` samples a side."""
    return _of_features("wasserstein", {"largest": largest}, generated, reference, intervals=intervals)


def sliced_wasserstein(
    generated: Array,
    reference: Array,
    *,
    projections: int = 128,
    projection_seed: int = 0,
    intervals: bool = False,
) -> Score:
    """The mean 1-Wasserstein distance over random projections."""
    options = {"projections": projections, "projection_seed": projection_seed}
    return _of_features("sliced_wasserstein", options, generated, reference, intervals=intervals)


def one_nn(
    generated: Array, reference: Array, *, permutations: int = 199, intervals: bool = False, seed: int = 0
) -> Score:
    """Leave-one-out accuracy of the nearest neighbour at telling the two sets apart; its ideal is about a half."""
    return _of_features("one_nn", {"permutations": permutations}, generated, reference, intervals=intervals, seed=seed)


def precision(generated: Array, reference: Array, *, k: int = 5, intervals: bool = False) -> Score:
    """Share of the generated samples that lie in a real sample's ball."""
    return _of_features("precision", {"k": k}, generated, reference, intervals=intervals)


def recall(generated: Array, reference: Array, *, k: int = 5, intervals: bool = False) -> Score:
    """Share of the real samples that lie in a generated sample's ball."""
    return _of_features("recall", {"k": k}, generated, reference, intervals=intervals)


def density(generated: Array, reference: Array, *, k: int = 5, intervals: bool = False) -> Score:
    """Mean number of real balls about a generated sample, in units of k."""
    return _of_features("density", {"k": k}, generated, reference, intervals=intervals)


def coverage(generated: Array, reference: Array, *, k: int = 5, intervals: bool = False) -> Score:
    """Share of the real samples whose ball holds a generated one."""
    return _of_features("coverage", {"k": k}, generated, reference, intervals=intervals)


def memorisation(generated: Array, reference: Array, *, intervals: bool = False) -> Score:
    """Share of the generated samples that are closer to a real one than another real one is."""
    return _of_features("memorisation", {}, generated, reference, intervals=intervals)


def inception_score(
    probabilities: Array,
    *,
    splits: int = 10,
    shuffle: bool = True,
    shuffle_seed: int = 2020,
    intervals: bool = False,
) -> Score:
    """Inception Score of class probabilities (m, classes), averaged over splits."""
    options = {"splits": splits, "shuffle": shuffle, "shuffle_seed": shuffle_seed}
    generated = Side(probabilities=array_of(probabilities))
    return _measured("inception_score", options, generated, Side(), intervals=intervals)


def mode_score(
    probabilities: Array,
    reference_probabilities: Array,
    *,
    variant: Literal["survey", "che"] = "survey",
    intervals: bool = False,
) -> Score:
    """Mode Score of class probabilities (m, classes) and (n, classes)."""
    generated, reference = (Side(probabilities=array_of(rows)) for rows in (probabilities, reference_probabilities))
    return _measured("mode_score", {"variant": variant}, generated, reference, intervals=intervals)


def _of_features(
    name: str, options: Options, generated: Array, reference: Array, *, intervals: bool, seed: int = 0
) -> Score:
    sides = (Side(features=array_of(rows)) for rows in (generated, reference))
    return _measured(name, options, *sides, intervals=intervals, seed=seed)


def _measured(
    name: str, options: Options, generated: Side, reference: Side, *, intervals: bool, seed: int = 0
) -> Score:
    """What the registry's metric measures; what a side lacks is an error here, too."""
    metric = build_metric(name, options)
    if lack := metric.lacks(reference, generated):
        raise InvalidSamples(f"{name} needs {lack}.")
    with one_thread:
        score = metric.measure(reference, generated, intervals=intervals, seed=seed)
    return replace(score, interval=interval_of(score, reference, generated))
