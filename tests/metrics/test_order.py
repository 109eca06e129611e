"""Inception Score and KID in subsets equal torch-fidelity's for the same logits and features in the same order."""

import numpy as np
import pytest
import torch

from service.metrics.inception_score import InceptionScore
from service.metrics.kid import KID
from service.metrics.metric import Side
from service.metrics.registry import METRICS, build_metric
from service.metrics.samples import Real

RNG = np.random.default_rng(3)
LOGITS = 3 * RNG.standard_normal((500, 10)) + 4 * np.eye(10)[np.sort(RNG.integers(0, 10, 500))]
FEATURES, REAL = RNG.standard_normal((400, 8)) + 0.2, RNG.standard_normal((300, 8))
STORED = RNG.permutation(500)
"""Another order, in which the rows lie."""


def torch_fidelitys_inception_score(logits: torch.Tensor) -> float:
    """`isc_features_to_metric` with its defaults: ten splits, shuffled by RandomState(2020)."""
    n = len(logits)
    logits = logits[np.random.RandomState(2020).permutation(n)].double()
    p, log_p = logits.softmax(dim=1), logits.log_softmax(dim=1)
    scores = []
    for i in range(10):
        part = slice(i * n // 10, (i + 1) * n // 10)
        kl = p[part] * (log_p[part] - p[part].mean(dim=0, keepdim=True).log())
        scores.append(kl.sum(dim=1).mean().exp().item())
    return float(np.mean(scores))


def torch_fidelitys_kid(generated: Real, real: Real) -> float:
    """`kid_features_to_metric` with 20 subsets of 50: the generated set is drawn first."""
    rng = np.random.RandomState(2020)
    values = []
    for _ in range(20):
        x = generated[rng.choice(len(generated), 50, replace=False)]
        y = real[rng.choice(len(real), 50, replace=False)]
        within = [(k.sum() - np.trace(k)) / (50 * 49) for k in (((a @ a.T) / 8 + 1) ** 3 for a in (x, y))]
        values.append(sum(within) - 2 * (((x @ y.T) / 8 + 1) ** 3).mean())
    return float(np.mean(values))


def test_inception_score_is_torch_fidelitys_in_the_order_sent() -> None:
    right = torch_fidelitys_inception_score(torch.from_numpy(LOGITS))
    p = torch.from_numpy(LOGITS).softmax(dim=1).numpy()
    as_sent = np.argsort(STORED)
    stored = Side(probabilities=p[STORED], as_sent=as_sent)
    assert InceptionScore().measure(Side(), stored).value == pytest.approx(right, rel=1e-12)
    assert InceptionScore().measure(Side(), Side(probabilities=p[STORED])).value != pytest.approx(right, rel=1e-4)


def test_kid_in_subsets_is_torch_fidelitys_in_the_order_sent() -> None:
    right = torch_fidelitys_kid(FEATURES, REAL)
    lies, lies_real = RNG.permutation(400), RNG.permutation(300)
    generated = Side(features=FEATURES[lies], as_sent=np.argsort(lies))
    real = Side(features=REAL[lies_real], as_sent=np.argsort(lies_real))
    found = KID(subsets=20, subset_size=50).measure(real, generated).value
    assert found == pytest.approx(right, rel=1e-10)


def test_only_these_two_see_the_order() -> None:
    options = {"kid": {"subsets": 10, "subset_size": 20}}
    seeing = {name for name in METRICS if build_metric(name, options.get(name)).sees_order}
    assert seeing == {"inception_score", "kid"}
    assert not KID().sees_order
    assert not InceptionScore(splits=1).sees_order
    p = np.random.default_rng(0).dirichlet(np.ones(10), 60)
    x, y = (np.random.default_rng(n).standard_normal((60, 6)) for n in (1, 2))
    other = np.random.default_rng(5).permutation(60)
    for name in METRICS.keys() - seeing:
        real, made = Side(features=x, probabilities=p), Side(features=y, probabilities=p)
        turned = Side(features=y, probabilities=p, as_sent=other)
        metric = build_metric(name)
        assert metric.measure(real, made).value == metric.measure(real, turned).value
