from hashlib import sha256

import pytest
import torch

from service.nets.activations import squash
from service.nets.layers import count_macs, count_parameters, layer_table
from service.nets.lenet5 import LeNet5, SparseConv2d, SubSampling, digit_codes

ONE = torch.zeros(1, 1, 32, 32)


def test_lenet5_has_the_papers_counts() -> None:
    net = LeNet5()
    assert count_parameters(net) == 60_000
    assert {name: count_parameters(layer) for name, layer in net.named_children()} == {
        "C1": 156,
        "S2": 12,
        "C3": 1_516,
        "S4": 32,
        "C5": 48_120,
        "F6": 10_164,
        "output": 0,
        "squash": 0,
    }
    assert net.output.codes.numel() == 840
    assert count_macs(net, ONE) == 326_520


def test_each_layer_has_the_papers_size_and_receptive_field() -> None:
    rows = {row.name: row for row in layer_table(LeNet5(), ONE)}
    assert {name: row.output for name, row in rows.items()} == {
        "C1": (6, 28, 28),
        "S2": (6, 14, 14),
        "C3": (16, 10, 10),
        "S4": (16, 5, 5),
        "C5": (120, 1, 1),
        "F6": (84,),
        "output": (10,),
    }
    assert [row.receptive_field for row in rows.values()] == [5, 6, 14, 16, 32, 32, 32]


# Table I as the paper prints it: a row for each map of S2, a column for each map of C3.
TABLE_ONE = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def test_c3_is_connected_as_table_one_says() -> None:
    printed = [[cell == "X" for cell in line.split()] for line in TABLE_ONE.strip().splitlines()]
    layer = LeNet5().C3
    x = torch.zeros(1, 6, 5, 5, requires_grad=True)
    for place in range(16):
        (seen,) = torch.autograd.grad(layer(x)[0, place].sum(), x)
        assert (seen[0].abs().sum(dim=(1, 2)) > 0).tolist() == [row[place] for row in printed]


def test_sparse_convolution_is_the_sum_over_its_connections() -> None:
    layer = SparseConv2d(((0, 1), (1,)), 3)
    x = torch.randn(2, 2, 6, 6)
    kernels = layer.kernels.view(3, 1, 1, 3, 3)
    first = torch.conv2d(x[:, :1], kernels[0]) + torch.conv2d(x[:, 1:], kernels[1]) + layer.bias[0]
    second = torch.conv2d(x[:, 1:], kernels[2]) + layer.bias[1]
    torch.testing.assert_close(layer(x), torch.cat([first, second], dim=1))


def test_sub_sampling_scales_the_sum_and_shifts_it() -> None:
    layer = SubSampling(1)
    with torch.no_grad():
        layer.coefficient.fill_(0.5)
        layer.bias.fill_(1.0)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert layer(x).item() == 0.5 * 10 + 1


def test_squash_leaves_plus_and_minus_one_where_they_are() -> None:
    torch.testing.assert_close(
        squash(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([-1.0, 0.0, 1.0]), atol=1e-4, rtol=0
    )


def test_the_codes_are_ten_different_drawings_and_never_trained() -> None:
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(codes.flatten().tolist()) == {-1.0, 1.0}
    differing = torch.cdist(codes, codes, p=0) + 84 * torch.eye(10)
    assert differing.min() >= 5
    assert "output.codes" not in dict(LeNet5().named_parameters())


def test_the_output_is_minus_the_squared_distance_to_each_code() -> None:
    net = LeNet5()
    features = net.features(torch.randn(3, 1, 32, 32))
    assert features.shape == (3, 84)
    expected = -torch.cdist(features, net.output.codes).square()
    torch.testing.assert_close(net.head(features), expected, rtol=1e-4, atol=1e-3)
    assert net.head(net.output.codes).argmax(dim=1).tolist() == list(range(10))


@pytest.mark.parametrize(("name", "bound"), [("C1", 2.4 / 25), ("C5", 2.4 / 400), ("F6", 2.4 / 120)])
def test_weights_are_drawn_within_the_papers_bounds(name: str, bound: float) -> None:
    weight = LeNet5().get_parameter(f"{name}.weight")
    assert 0.9 * bound < weight.abs().max() <= bound


TWO_AND_FOUR = """
..ooo.. ....o..
.o...o. ...oo..
o.....o ...oo..
......o ..o.o..
......o .o..o..
.....o. .o..o..
....o.. o...o..
...o... ooooooo
..o.... ....o..
.o..... ....o..
o...... ....o..
ooooooo ....o..
"""
CODES_SHA256 = "d3f549401bafe63cae57645dea344ae09e028c059fd7fdca1841e3d859839165"


def test_the_codes_are_the_drawings_that_stored_weights_were_trained_to_show() -> None:
    inked = digit_codes().view(10, 12, 7) > 0
    for digit, column in ((2, 0), (4, 1)):
        drawn = [line.split()[column] for line in TWO_AND_FOUR.strip().splitlines()]
        assert inked[digit].tolist() == [[pixel == "o" for pixel in row] for row in drawn]
    assert sha256(inked.numpy().tobytes()).hexdigest() == CODES_SHA256


@pytest.mark.parametrize("channels", [1, 3])
def test_its_short_way_for_inference_gives_the_same_answers(channels: int) -> None:
    net, images = LeNet5(channels=channels).eval(), torch.randn(4, channels, 32, 32)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        expected = net(images)
        torch.testing.assert_close(net.for_inference()(images), expected, rtol=1e-5, atol=1e-4)
        assert [type(step).__name__ for step in net.for_inference()].count("Tanh") == 6
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
