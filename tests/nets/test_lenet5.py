import pytest
import torch

from service.nets.activations import squash
from service.nets.layers import count_macs, count_parameters, layer_table
from service.nets.lenet5 import C3_INPUTS, LeNet5, SparseConv2d, SubSampling, digit_codes

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


def test_c3_is_connected_as_table_one_says() -> None:
    assert sum(map(len, C3_INPUTS)) == 60
    layer = SparseConv2d(C3_INPUTS, 5)
    x = torch.zeros(1, 6, 5, 5, requires_grad=True)
    for place, maps in enumerate(C3_INPUTS):
        (seen,) = torch.autograd.grad(layer(x)[0, place].sum(), x)
        assert tuple(seen[0].abs().sum(dim=(1, 2)).nonzero().flatten().tolist()) == maps


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
