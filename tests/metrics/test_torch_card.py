"""A card computes what numpy does: torch on the processor stands in its place, which rounds in its own order, too."""

import gc
import logging
from collections.abc import Sequence

import numpy as np
import pytest
from torch import Tensor

from service.evaluation.measure import Measurement, choose_metrics, measure
from service.metrics import torch_card
from service.metrics.kernel_sums import sums_over
from service.metrics.kernels import Gaussian, Kernel, Polynomial, RationalQuadratic
from service.metrics.metric import Side
from service.metrics.placement import ask_card, has_card, placed_on
from service.metrics.samples import Rows
from service.metrics.statistics import statistics_of
from service.metrics.torch_card import TorchCard

KERNELS: list[Kernel] = [Polynomial(), Gaussian(3.0), RationalQuadratic(3.0), Gaussian(1e-6)]
NEIGHBOURLY = ("precision", "recall", "density", "coverage", "one_nn", "memorisation")
DIGITS = 1e-11
"""What a mean of products may differ by, of its size: the rounding of double precision in another order."""


def rows_of(n: int, seed: int, *, kind: type[np.floating] = np.float32, copies: int = 0) -> Rows:
    """Features off the origin, some of which are copies of others."""
    rows = (np.random.default_rng(seed).standard_normal((n, 24)) + 5).astype(kind)
    rows[:copies] = rows[copies : 2 * copies]
    return rows


X, Y = rows_of(300, 1, copies=20), rows_of(250, 2)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles a side, the last of them not full."""
    monkeypatch.setattr(torch_card, "TILE_ROWS", 64)
    monkeypatch.setattr(torch_card, "PAIR_NUMBERS", 100)


@pytest.fixture
def card() -> TorchCard:
    return TorchCard("cpu", least=0)


def measured(names: Sequence[str], card: TorchCard | None, x: Rows = X, y: Rows = Y) -> Measurement:
    return measure(Side(y), Side(x), choose_metrics(names), seed=3, card=card)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_covariances_are_equal_to_rounding(card: TorchCard, kind: type[np.floating]) -> None:
    rows = rows_of(300, 1, kind=kind)
    here = statistics_of(rows)
    with placed_on(card):
        there = statistics_of(rows)
    scale = float(here.covariance.trace())
    assert there.mean == pytest.approx(here.mean, rel=1e-13)
    assert np.abs(there.covariance - here.covariance).max() <= 1e-13 * scale
    assert (there.covariance == there.covariance.T).all()
    assert there.count == here.count


@pytest.mark.parametrize("others", [Y, Y.astype(np.float64)], ids=["single", "double"])
def test_sums_of_kernels_are_equal_to_rounding_also_where_copies_decide(card: TorchCard, others: Rows) -> None:
    here = sums_over(X, others, KERNELS, np.float64)
    with placed_on(card):
        there = sums_over(X, others, KERNELS, np.float32)  # a card computes in double precision whatever is asked for
    for one, other in zip(here, there, strict=True):
        for part in ("real", "generated", "across"):
            a, b = getattr(one, part), getattr(other, part)
            assert b.rows == pytest.approx(a.rows, rel=DIGITS)
            assert b.columns == pytest.approx(a.columns, rel=DIGITS)
            assert (b.squares, b.diagonal) == pytest.approx((a.squares, a.diagonal), rel=DIGITS)
        assert other.mmd2() == pytest.approx(one.mmd2(), rel=1e-9, abs=1e-12)


def test_neighbours_are_the_same_to_the_last_bit(card: TorchCard) -> None:
    assert measured(NEIGHBOURLY, card).metrics == measured(NEIGHBOURLY, None).metrics


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_neighbours_of_features_that_single_precision_does_not_hold_are_the_same(card: TorchCard, scale: float) -> None:
    x, y = (rows.astype(np.float64) * scale for rows in (X, Y))
    assert measured(NEIGHBOURLY, card, x, y).metrics == measured(NEIGHBOURLY, None, x, y).metrics


def test_scores_and_their_intervals_lie_within_the_stated_tolerance(card: TorchCard) -> None:
    names = ("fid", "fid_infinity", "kid", "mmd")
    here, there = measured(names, None), measured(names, card)
    assert not there.warnings
    for name in names:
        one, other = here.metrics[name], there.metrics[name]
        assert other.value == pytest.approx(one.value, rel=1e-8)
        assert one.interval is not None
        assert other.interval == pytest.approx(one.interval, rel=1e-6)


def test_subsets_of_kid_are_computed_there_too(card: TorchCard) -> None:
    metrics = choose_metrics(["kid"], {"kid": {"subsets": 5, "subset_size": 100}})
    here, there = (measure(Side(Y), Side(X), metrics, card=one) for one in (None, card))
    assert there.metrics["kid"].value == pytest.approx(here.metrics["kid"].value, rel=1e-8)
    assert there.metrics["kid"].value != here.metrics["kid"].value


class Failing(TorchCard):
    """Runs out of memory as soon as rows are to be kept."""

    def resident(self, rows: Rows) -> Tensor:
        raise RuntimeError(f"no memory is left for {rows.nbytes} bytes")


def test_what_a_card_fails_at_is_computed_here_and_the_report_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        there = measured(("kid",), Failing("cpu", least=0))
    assert there.warnings == ("A card failed (RuntimeError); what it had not answered is numpy's.",)
    assert there.metrics == measured(("kid",), None).metrics
    assert "A card has failed" in caplog.text


def test_little_work_is_done_here(card: TorchCard) -> None:
    card.least = 10
    with placed_on(card):
        assert (has_card(9), has_card(10)) == (False, True)
        assert ask_card(9, lambda _: 1) is None
    assert not has_card(10)


def test_a_set_is_sent_once_and_stays_as_long_as_somebody_has_it(card: TorchCard) -> None:
    rows = rows_of(100, 4)
    assert card.resident(rows) is card.resident(rows)
    there = card.resident(rows)
    assert there.numpy().tolist() == rows.tolist()
    del rows
    gc.collect()
    other = rows_of(100, 5)
    assert card.resident(other).numpy().tolist() == other.tolist()
    assert len(card._kept) == 1
    card.free()
    assert not card._kept


def test_a_device_that_is_not_there_cannot_be_opened() -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        TorchCard("cuda:63")
