import pytest
import torch
from torch import nn

from service.errors import InvalidManifest
from service.nets.layers import count_parameters
from service.nets.registry import build_net
from service.nets.toys import StackedLinear, ToyDiscriminator, ToyGenerator, ToyGenerators, first_of

KINDS = ["toy-autoencoder", "toy-discriminator", "toy-generator", "toy-generators", "toy-minibatch-discriminator"]


@pytest.mark.parametrize("name", KINDS)
def test_each_net_of_a_stack_sees_its_own_rows_only(name: str) -> None:
    inputs = 3 if name == "toy-generators" else 2
    stack, single = build_net(name, {"width": 8, "stack": 3}), build_net(name, {"width": 8})
    x = torch.randn(3 * 5, inputs)
    torch.testing.assert_close(first_of(stack, single)(x[:5]), stack(x)[:5])
    moved = x.clone()
    moved[5:] += 1
    torch.testing.assert_close(stack(moved)[:5], stack(x)[:5])
    assert not torch.allclose(stack(moved)[5:], stack(x)[5:])


def test_a_stacked_layer_is_a_linear_layer_for_each() -> None:
    layer, x = StackedLinear(4, 3, stack=2), torch.randn(10, 4)
    alone = nn.Linear(4, 3)
    with torch.no_grad():
        alone.weight.copy_(layer.weight[1].T)
        alone.bias.copy_(layer.bias[1, 0])
    torch.testing.assert_close(layer(x)[5:], alone(x[5:]))
    assert layer.weight.abs().max() <= 0.5


def test_the_sum_of_the_losses_gives_each_net_the_gradient_that_it_would_have_alone() -> None:
    stack, single = ToyGenerator(width=8, stack=2), ToyGenerator(width=8)
    first_of(stack, single)
    z = torch.randn(6, 2)
    stack(z).square().sum().backward()
    single(z[:3]).square().sum().backward()
    for own, of_all in zip(single.parameters(), stack.parameters(), strict=True):
        assert own.grad is not None
        assert of_all.grad is not None
        torch.testing.assert_close(of_all.grad[:1], own.grad)


def test_the_known_counts() -> None:
    assert count_parameters(ToyGenerator()) == 2 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2
    assert count_parameters(ToyDiscriminator(packed=2)) == 4 * 128 + 128 + 128 * 128 + 128 + 128 + 1
    assert count_parameters(ToyDiscriminator(stack=10)) == 10 * count_parameters(ToyDiscriminator())


def test_normalised_batches_mix_samples_and_so_do_not_go_with_a_stack() -> None:
    x = torch.randn(6, 2)
    for batch_norm, mixes in ((True, True), (False, False)):
        net = ToyDiscriminator(width=8, batch_norm=batch_norm)
        assert (not torch.allclose(net(x)[:3], net(x[:3]))) is mixes
    with pytest.raises(InvalidManifest):
        ToyDiscriminator(stack=2, batch_norm=True)


def test_only_the_chosen_generator_places_the_point() -> None:
    generators, z = ToyGenerators(width=8, generators=4), torch.randn(6, 3)
    z[:, -1] = -3.0
    silent = generators.features(z).view(6, 4, 8).abs().sum(dim=2) == 0
    assert silent.all(dim=0).tolist() == [False, True, True, True]
