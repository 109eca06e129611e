import numpy as np
import pytest
import torch

from service.datasets.mackey_glass import mackey_glass
from service.datasets.narma10 import narma10
from service.nets.echo_state import EchoState

SERIES = torch.from_numpy(mackey_glass(1500))[None]
NO_INPUTS = torch.zeros(1, 3000, 0, dtype=torch.float64)


def trained(series: torch.Tensor = SERIES, *, washout: int = 100, ridge: float = 1e-9) -> EchoState:
    net = EchoState(channels=series.shape[2], units=100, connections=10, leak=0.6, input_scaling=0.2)
    features = net.normalise_by(series[0]).features(series)[0]
    return net.settle(net.sums(features[washout:], series[0, washout:]).solve(ridge)).eval()


def test_a_trained_net_goes_on_with_the_series_by_itself() -> None:
    net = trained(SERIES[:, :1400])
    memory = net.follow(SERIES[:, :1400], NO_INPUTS[:, :1400], [1400])[:, 0]
    found, _ = net.run(memory, NO_INPUTS[:, :50])
    assert (found - SERIES[:, 1400:1450]).abs().max() < 0.01


def test_teacher_forcing_expects_each_step_from_those_before_it() -> None:
    net = trained()
    changed = SERIES.clone()
    changed[:, 700] += 0.1
    expected, other = net(SERIES), net(changed)
    assert torch.equal(expected[:, :701], other[:, :701])
    assert not torch.equal(expected[:, 701], other[:, 701])
    assert (expected[:, 200:] - SERIES[:, 200:]).abs().max() < 1e-3


def test_a_free_run_is_teacher_forcing_with_its_own_values() -> None:
    net = trained()
    memory = net.follow(SERIES[:, :300], NO_INPUTS[:, :300], [300])[:, 0]
    found, _ = net.run(memory, NO_INPUTS[:, :20])
    expected = net(torch.cat([SERIES[:, :300], found], dim=1))
    torch.testing.assert_close(found, expected[:, 300:], rtol=0, atol=1e-9)


def test_a_free_run_can_be_interrupted_and_goes_on_bit_for_bit() -> None:
    net = trained()
    memory = net.follow(SERIES[:, :300], NO_INPUTS[:, :300], [300])[:, 0]
    whole, end = net.run(memory, NO_INPUTS[:, :60])
    first, middle = net.run(memory, NO_INPUTS[:, :25])
    second, last = net.run(middle, NO_INPUTS[:, :35])
    assert torch.equal(torch.cat([first, second], dim=1), whole)
    assert torch.equal(last, end)


def test_two_halves_of_a_series_give_the_sums_of_the_whole_and_its_predictions() -> None:
    net = EchoState(units=100, connections=10, leak=0.6, input_scaling=0.2)
    net.normalise_by(SERIES[0])
    whole = net.features(SERIES)
    v = whole[:, :, 1:2]
    first = net.reservoir(v[:, :800])
    second = net.reservoir(v[:, 800:], first[:, -1, -100:])  # from the last state of the first half
    sums = net.sums(whole[0, 100:], SERIES[0, 100:])
    halves = net.sums(first[0, 100:], SERIES[0, 100:800]).merge(net.sums(second[0], SERIES[0, 800:]))
    for one, other in ((sums.gram, halves.gram), (sums.cross, halves.cross)):
        assert ((one - other).abs().max() / one.abs().max()).item() < 1e-12
    predictions = [net.settle(part.solve(1e-8))(SERIES)[:, 100:] for part in (sums, halves)]
    assert (predictions[0] - predictions[1]).abs().max() < 1e-6


def test_a_net_without_feedback_hears_only_its_inputs() -> None:
    values, inputs = (torch.from_numpy(part)[None] for part in narma10(1500))
    net = EchoState(inputs=1, feedback=False, units=100, connections=10, input_scaling=0.03, bias_scaling=0.5)
    series = torch.cat([values, inputs], dim=2)
    features = net.normalise_by(series[0]).features(series)[0]
    net.settle(net.sums(features[100:1200], values[0, 100:1200]).solve(1e-8))
    memory = net.follow(torch.zeros_like(values), inputs, [1200])[:, 0]
    found, _ = net.run(memory, inputs[:, 1200:])
    error = (found - values[:, 1200:]).square().mean() / values.var()
    assert error.item() < 0.12


def test_several_channels_are_forecast_together() -> None:
    t = np.arange(1200)[:, None]
    both = torch.from_numpy(np.sin(t / np.array([5.0, 9.0]) + np.array([0.0, 1.0])) * [1.0, 30.0] + [0.0, 100.0])[None]
    net = trained(both[:, :1000])
    memory = net.follow(both[:, :1000], NO_INPUTS[:, :1000], [1000])[:, 0]
    found, _ = net.run(memory, NO_INPUTS[:, :100])
    assert ((found - both[:, 1000:1100]).abs() / torch.tensor([1.0, 30.0])).max() < 0.01


def test_a_fit_serves_series_of_any_width_and_crosses_as_numbers() -> None:
    net = EchoState(units=60, connections=10)
    values = torch.cat([SERIES, SERIES.flip(1) * 5], dim=2)
    inputs = torch.sin(torch.arange(1500, dtype=torch.float64) / 7)[None, :, None]
    fitted = net.fit(values, inputs, washout=50, held_out=300)
    memory = fitted.net.memories(fitted.features, values, [1500])[:, 0]
    again = net.wearing(fitted.net.fitted(), memory, inputs)
    expected, _ = fitted.net.run(memory, inputs[:, :30])
    found, _ = again.run(memory, inputs[:, :30])
    assert torch.equal(found, expected)
    assert found.shape == (1, 30, 2)


def test_the_penalty_is_one_with_which_free_runs_stay_near() -> None:
    net = EchoState(units=60, connections=10, leak=0.6, input_scaling=0.2)
    noise = 0.2 * torch.randn(SERIES.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fitted = net.fit(SERIES + noise, NO_INPUTS[:, :1500], washout=50, held_out=300)
    memory = fitted.net.memories(fitted.features, SERIES + noise, [1500])[:, 0]
    found, _ = fitted.net.run(memory, NO_INPUTS[:, :500])
    assert (found - 0.9).abs().max() < 1


def test_a_constant_channel_is_not_divided_by_nothing() -> None:
    net = EchoState(units=10).normalise_by(torch.full((50, 1), 7.0, dtype=torch.float64))
    assert net.deviation.item() == 1.0


@pytest.mark.parametrize("rows", [1, 4])
def test_each_row_can_have_a_readout_of_its_own(rows: int) -> None:
    net = trained()
    memory = net.rest(rows)
    inputs = torch.zeros(rows, 10, 0, dtype=torch.float64)
    expected, _ = net.run(memory, inputs)
    found, _ = net.run(memory, inputs, net.readout.weight.expand(rows, -1, -1))
    torch.testing.assert_close(found, expected)


def test_only_the_readout_and_the_units_of_the_data_are_stored() -> None:
    assert EchoState(units=50).state_dict().keys() == {"mean", "deviation", "readout.weight"}


def test_a_point_is_judged_by_a_readout_that_knows_nothing_of_what_comes_after_it() -> None:
    changed = SERIES.clone()
    changed[:, 1350:] *= 1 + 1e-6
    one, other = (
        EchoState(units=60, connections=10).fit(series, NO_INPUTS[:, :1500], washout=50, held_out=300)
        for series in (SERIES, changed)
    )
    starts = [1200, 1229, 1349, 1350, 1499]
    pairs = zip(one.readouts_before(starts), other.readouts_before(starts), strict=True)
    assert [torch.equal(*pair) for pair in pairs] == [True, True, True, True, False]


def test_a_readout_of_all_the_history_that_goes_astray_gives_way_to_a_larger_penalty() -> None:
    net = EchoState(units=60, connections=10)
    values = torch.sin(torch.arange(300, dtype=torch.float64) / 3)[None, :, None]
    values[:, 290:] *= 40  # what comes last is like nothing before, and a readout that follows it explodes
    fitted = net.fit(values, NO_INPUTS[:, :300], washout=30, held_out=75, tried=((0, False), (1, False)))
    memory = fitted.net.memories(fitted.features, values, [300])[:, 0]
    found, _ = fitted.net.run(memory, NO_INPUTS[:, :30])
    assert found.abs().max() < 3 * values.abs().max()
