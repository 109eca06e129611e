from collections.abc import Sequence

import pytest
import torch

from service.errors import InvalidManifest
from service.nets.clockwork import Clockwork, ClockworkRNN
from service.nets.layers import count_macs, count_parameters
from service.nets.recurrent import LSTM, PlainRNN


@pytest.mark.parametrize(("units", "parameters"), [(11, 100), (19, 249), (27, 469), (40, 980)])
def test_parameters_are_counted_as_the_paper_counts_them(units: int, parameters: int) -> None:
    net = ClockworkRNN(units=units)
    assert count_parameters(net) + len(net.hidden.periods) == parameters  # the paper counts the periods, too


@pytest.mark.parametrize(
    ("units", "parameters"), [((13, 10), 480), ((22, 19), 980)], ids=["500 parameters", "1,000 parameters"]
)
def test_parameters_of_the_words_task_lie_near_what_was_asked_for(units: tuple[int, int], parameters: int) -> None:
    _, count = units
    net = ClockworkRNN(inputs=13, outputs=25, units=count, periods=[1, 2, 4, 8, 16, 32, 64])
    assert abs(count_parameters(net) + 7 - parameters) <= 20


def test_modules_hear_themselves_and_slower_ones_only() -> None:
    layer = Clockwork(inputs=1, units=7, periods=(1, 2, 4))  # 3, 2 and 2 units
    matrix = layer.matrix()[0] != 0
    assert layer.ends == (3, 5, 7)
    assert matrix[:3].all()
    assert not matrix[3:, :3].any()
    assert matrix[3:5, 3:].all()
    assert not matrix[5:, :5].any()
    assert matrix[5:, 5:].all()


def test_a_module_moves_at_its_period_and_holds_its_output_between() -> None:
    torch.manual_seed(0)
    layer = Clockwork(inputs=1, units=8, periods=(1, 2, 8))
    y = layer(torch.randn(1, 33, 1))[0]
    before = torch.cat([torch.zeros(1, 8), y[:-1]])
    moved = (y != before).detach()
    for step in range(1, 34):
        awake = [True] * layer.ends[0]
        awake += [step % 2 == 0] * (layer.ends[1] - layer.ends[0]) + [step % 8 == 0] * (8 - layer.ends[1])
        assert moved[step - 1].tolist() == awake


def reference(layer: Clockwork, x: torch.Tensor, periods: Sequence[int]) -> torch.Tensor:
    """Equation 2 of the paper with a mask, one step after the other."""
    period = torch.tensor([slow for slow, start, end in zip(periods, (0, *layer.ends), layer.ends, strict=False)
                           for _ in range(end - start)])  # fmt: skip
    y, outputs = torch.zeros(len(x), layer.units), []
    for step in range(1, x.shape[1] + 1):
        new = torch.tanh(y @ layer.matrix()[0].T + x[:, step - 1] @ layer.input[0].T + layer.bias[0])
        y = torch.where(step % period == 0, new, y)
        outputs.append(y)
    return torch.stack(outputs, dim=1)


def test_outputs_are_those_of_the_papers_equation() -> None:
    torch.manual_seed(0)
    layer = Clockwork(inputs=3, units=10, periods=(1, 3, 6))
    x = torch.randn(2, 20, 3)
    torch.testing.assert_close(layer(x), reference(layer, x, (1, 3, 6)))


def test_groups_are_nets_of_their_own() -> None:
    torch.manual_seed(0)
    both = ClockworkRNN(inputs=1, units=9, groups=2)
    x = torch.randn(1, 12, 1)
    whole = both(x)
    with torch.no_grad():
        both.hidden.recurrent[1] += 1.0
        both.hidden.bias[1] += 1.0
    assert torch.equal(both(x)[..., 0], whole[..., 0])
    assert not torch.equal(both(x)[..., 1], whole[..., 1])


def test_a_run_goes_on_where_the_clock_stands() -> None:
    torch.manual_seed(0)
    net = ClockworkRNN(units=18, groups=2)
    nothing = torch.zeros(1, 100, 0, dtype=torch.float64)
    whole, _ = net.run(net.rest(1), nothing)
    memories = net.follow(torch.zeros(1, 100, 2), nothing, [37, 64])[0]
    found, after = net.run(memories, nothing[:, :20].expand(2, -1, -1))
    torch.testing.assert_close(found[0], whole[0, 37:57])
    torch.testing.assert_close(found[1], whole[0, 64:84])
    assert after[:, -1].tolist() == [57, 84]
    torch.testing.assert_close(whole, net(nothing.float()).double())


def test_multiplications_are_those_of_the_units_that_move() -> None:
    layer = ClockworkRNN(units=9, periods=(1, 2, 4))
    # eight steps: 3 units hear 9 at every one, 3 hear 6 at four, 3 hear 3 at two; the readout multiplies 9 at every one
    assert count_macs(layer, torch.zeros(1, 8, 0)) == 8 * 27 + 4 * 18 + 2 * 9 + 8 * 9


@pytest.mark.parametrize("periods", [(1, 3, 4), (2, 1)])
def test_periods_that_do_not_divide_each_other_are_refused(periods: tuple[int, ...]) -> None:
    with pytest.raises(InvalidManifest, match="must be multiples"):
        ClockworkRNN(units=9, periods=periods)


def test_the_nets_beside_it_have_as_many_parameters() -> None:
    assert count_parameters(PlainRNN(units=31)) == 1024
    assert count_parameters(LSTM(units=15)) == 976


def test_a_plain_rnn_moves_all_units_at_every_step() -> None:
    net = PlainRNN(units=4)
    assert [net.hidden.awake(step) for step in range(1, 6)] == [4] * 5


def test_an_lstm_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = LSTM(inputs=3, units=5), torch.nn.LSTM(3, 5, batch_first=True)
    place = [0, 1, 3, 2]  # torch has its gates in the order input, forget, cell, output

    def ordered(weights: torch.Tensor) -> torch.Tensor:
        return torch.cat([weights.view(4, 5, -1)[gate] for gate in place])

    with torch.no_grad():
        weights = dict(theirs.named_parameters())
        weights["weight_hh_l0"].copy_(ordered(ours.hidden.recurrent[0].T.contiguous()))
        weights["weight_ih_l0"].copy_(ordered(ours.hidden.input[0]))
        weights["bias_ih_l0"].copy_(ordered(ours.hidden.bias[0])[:, 0])
        weights["bias_hh_l0"].zero_()
    x = torch.randn(2, 9, 3)
    torch.testing.assert_close(ours.features(x), theirs(x)[0])


def test_periods_that_are_left_out_are_the_papers_powers_of_two() -> None:
    assert ClockworkRNN().hidden.periods == (1, 2, 4, 8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize("net", [ClockworkRNN(inputs=1, units=400, periods=(1, 2)), LSTM(inputs=1, units=200)])
def test_weights_begin_with_the_papers_deviation(net: ClockworkRNN | LSTM) -> None:
    assert net.hidden.recurrent.std().item() == pytest.approx(0.1, rel=0.05)
    assert net.readout.weight.std().item() == pytest.approx(0.1, rel=0.2)


def test_an_lstm_begins_by_keeping_what_it_has() -> None:
    gates = LSTM(units=50).hidden.bias[0].view(4, 50)  # input, forget, output, cell
    assert gates[1].tolist() == [5.0] * 50
    assert gates[[0, 2, 3]].abs().max() < 1
