import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.nets.differencing import Differencing


@given(lag=st.integers(0, 7), logarithm=st.booleans(), cut=st.integers(1, 29), channels=st.integers(1, 3))
def test_what_was_taken_is_given_back_at_once_and_in_pieces(
    lag: int,
    logarithm: bool,  # noqa: FBT001
    cut: int,
    channels: int,
) -> None:
    values = torch.rand(1, 50, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(cut)) + 0.5
    differencing = Differencing(lag, logarithm)
    changes = differencing.apply(values)
    last = differencing.last(values, torch.tensor([20]))[:, 0]
    whole, end = differencing.undo(changes[:, 20:], last)
    torch.testing.assert_close(whole, values[:, 20:], rtol=1e-12, atol=1e-12)
    first, middle = differencing.undo(changes[:, 20 : 20 + cut], last)
    second, finally_last = differencing.undo(changes[:, 20 + cut :], middle)
    assert torch.equal(torch.cat([first, second], dim=1), whole)
    assert torch.equal(finally_last, end)


def test_changes_are_those_from_a_season_before() -> None:
    values = torch.tensor([1.0, 5.0, 2.0, 7.0])[None, :, None]
    assert Differencing(2).apply(values)[0, :, 0].tolist() == [0, 0, 1, 2]
    assert Differencing().apply(values) is values
    assert Differencing(1, logarithm=True).apply(values)[0, 1, 0].item() == pytest.approx(
        torch.tensor(5.0).log().item()
    )
