import pytest
import torch

from service.nets.layers import count_macs
from service.nets.reservoir import Reservoir


def dense(reservoir: Reservoir) -> torch.Tensor:
    weights = reservoir.weights
    return weights if weights.layout == torch.strided else weights.to_dense()


@pytest.mark.parametrize("connections", [None, 5], ids=["dense", "sparse"])
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_states_follow_the_formula_as_it_is_written(connections: int | None, rows: int, leak: float) -> None:
    reservoir = Reservoir(inputs=2, units=20, leak=leak, connections=connections, bias_scaling=0.3, seed=4)
    weights = dense(reservoir)
    recurrent, bias, into = weights[:, :20], weights[:, 20], weights[:, 21:]
    torch.manual_seed(0)
    v = torch.randn(rows, 12, 2, dtype=torch.float64)
    x = torch.zeros(rows, 20, dtype=torch.float64)
    found = reservoir(v)
    for t in range(12):
        x = (1 - leak) * x + leak * torch.tanh(x @ recurrent.T + bias + v[:, t] @ into.T)
        torch.testing.assert_close(found[:, t], torch.cat([torch.ones(rows, 1), v[:, t], x], dim=1))


@pytest.mark.parametrize("connections", [None, 3], ids=["dense", "sparse"])
def test_the_recurrent_weights_have_the_spectral_radius_that_was_asked_for(connections: int | None) -> None:
    reservoir = Reservoir(units=40, spectral_radius=0.7, connections=connections)
    recurrent = dense(reservoir)[:, :40]
    assert torch.linalg.eigvals(recurrent).abs().max().item() == pytest.approx(0.7)
    assert set((recurrent != 0).sum(dim=1).tolist()) == {connections or 40}


def test_a_seed_draws_the_same_recurrent_weights_whatever_is_fed_in() -> None:
    one, three = (dense(Reservoir(inputs=inputs, units=20, seed=2)) for inputs in (1, 3))
    assert torch.equal(one, three[:, :22])
    assert not torch.equal(one[:, :20], dense(Reservoir(units=20, seed=3))[:, :20])


def test_a_series_can_be_heard_in_parts() -> None:
    reservoir = Reservoir(units=20, connections=4, leak=0.5)
    v = torch.randn(2, 30, 1, dtype=torch.float64)
    whole = reservoir(v)
    first = reservoir(v[:, :13])
    assert torch.equal(reservoir(v[:, 13:], first[:, -1, -20:]), whole[:, 13:])


def test_the_beginning_is_forgotten() -> None:
    reservoir = Reservoir(units=50, connections=10, leak=0.8, spectral_radius=0.8)
    v = torch.randn(1, 200, 1, dtype=torch.float64)
    elsewhere = torch.ones(1, 50, dtype=torch.float64)
    apart = (reservoir(v) - reservoir(v, elsewhere)).abs().amax(dim=2)[0]
    assert apart[0] > 0.1
    assert apart[-1] < 1e-9


def test_nothing_of_a_reservoir_is_stored() -> None:
    assert Reservoir(units=10).state_dict() == {}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_in_single_precision_the_states_are_nearly_those_in_double(rows: int, leak: float) -> None:
    v = torch.randn(rows, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    double = Reservoir(inputs=2, units=40, leak=leak, connections=5)(v)
    single = Reservoir(inputs=2, units=40, leak=leak, connections=5, precision="single")(v)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("connections", "heard"), [(None, 20), (4, 4)])
def test_multiplications_are_those_of_what_each_unit_hears(connections: int | None, heard: int) -> None:
    reservoir = Reservoir(inputs=2, units=20, connections=connections)
    assert count_macs(reservoir, torch.zeros(1, 7, 2, dtype=torch.float64)) == 7 * 20 * (heard + 3)


def test_biases_and_inputs_are_even_between_their_scalings() -> None:
    weights = dense(Reservoir(inputs=2, units=500, bias_scaling=0.2, input_scaling=3.0, seed=1))[:, 500:]
    for column, scaling in ((0, 0.2), (1, 3.0), (2, 3.0)):
        drawn = weights[:, column] / scaling
        assert drawn.abs().max().item() == pytest.approx(1, abs=0.02)
        assert drawn.mean().item() == pytest.approx(0, abs=0.1)
        assert drawn.std().item() == pytest.approx(3**-0.5, rel=0.05)
    assert abs(torch.corrcoef(weights.T)[0, 1].item()) < 0.1
