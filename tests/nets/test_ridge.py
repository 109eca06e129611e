import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.nets.ridge import RidgeRows, RidgeSums


def test_the_solution_is_that_of_the_penalised_least_squares_problem() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(50, 6, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    weights = RidgeSums(6, 2).update(x, y).solve(0.3)
    slope = (x @ weights.T - y).T @ x + 0.3 * weights
    assert slope.abs().max() < 1e-12


def test_a_larger_penalty_gives_smaller_weights() -> None:
    torch.manual_seed(0)
    sums = RidgeSums(5, 1).update(torch.randn(30, 5), torch.randn(30, 1))
    assert sums.solve(10.0).norm() < sums.solve(0.1).norm()


@given(border=st.integers(0, 40), seed=st.integers(0, 99))
def test_sums_of_parts_are_those_of_the_whole(border: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    whole = RidgeSums(4, 3).update(x, y)
    parts = RidgeSums(4, 3).update(x[:border], y[:border]).merge(RidgeSums(4, 3).update(x[border:], y[border:]))
    assert parts.count == whole.count == 40
    torch.testing.assert_close(parts.gram, whole.gram, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts.cross, whole.cross, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [5, 60], ids=["fewer rows than features", "more"])
def test_readouts_of_more_and_of_fewer_rows_are_those_of_their_sums(rows: int) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(rows, 12, dtype=torch.float64), torch.randn(rows, 2, dtype=torch.float64)
    ridge = RidgeRows(x, y)
    for count in (3, rows, 4):
        expected = [RidgeSums(12, 2).update(x[:count], y[:count]).solve(penalty * count) for penalty in (0.1, 2.0)]
        torch.testing.assert_close(ridge.solve(count, (0.1, 2.0)), torch.stack(expected), rtol=1e-9, atol=1e-9)


def test_features_that_are_nearly_copies_of_each_other_have_a_readout() -> None:
    torch.manual_seed(0)
    one, y = torch.randn(30, 1, dtype=torch.float64), torch.randn(30, 1, dtype=torch.float64)
    x = one + 1e-9 * torch.randn(30, 4, dtype=torch.float64)
    assert torch.isfinite(RidgeRows(x, y).solve(30, (1e-20,))).all()
