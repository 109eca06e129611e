import pytest
import torch

from service.nets.layers import count_parameters
from service.nets.minibatch import DCGAN32MinibatchDiscriminator, MinibatchFeatures


def test_the_layer_has_the_counts_of_the_authors_code() -> None:
    assert count_parameters(MinibatchFeatures(192)) == 96_000 + 500 + 100


def test_a_sample_is_not_counted_as_close_to_itself() -> None:
    layer = MinibatchFeatures(4, kernels=3, size=2)
    assert layer(torch.randn(1, 4)).tolist() == [[-1.0, -1.0, -1.0]]  # nothing but the bias
    alike = torch.randn(1, 4).repeat(5, 1)
    torch.testing.assert_close(layer(alike), torch.full((5, 3), 4.0 - 1.0))  # the four others, each at distance 0


def test_closeness_is_the_papers_sum() -> None:
    layer, f = MinibatchFeatures(4, kernels=3, size=2), torch.randn(5, 4)
    with torch.no_grad():
        layer.scale.uniform_(-1, 1)
    columns = layer.direction[0] / layer.direction[0].norm(dim=0) * layer.scale[0].exp()
    m = (f @ columns).view(5, 3, 2)
    for i in range(5):
        expected = sum((-(m[i] - m[j]).abs().sum(dim=1)).exp() for j in range(5) if j != i)
        torch.testing.assert_close(layer(f)[i], expected - 1)


def test_a_column_is_as_long_as_its_scale_says_whatever_its_direction() -> None:
    layer, f = MinibatchFeatures(6), torch.randn(4, 6)
    before = layer(f)
    with torch.no_grad():
        layer.direction.mul_(30)
    torch.testing.assert_close(layer(f), before, rtol=1e-4, atol=1e-5)


def test_the_discriminator_can_tell_a_batch_of_copies() -> None:
    net = DCGAN32MinibatchDiscriminator(width=4, channels=1, kernels=8)
    with torch.no_grad():
        net.judge.weight[:, -8:] = 1.0
    x = torch.randn(6, 1, 32, 32)
    assert net(x).shape == (6,)
    assert net(x[:1].repeat(6, 1, 1, 1))[0] > net(x)[0] + 1


@pytest.mark.parametrize("rows", [1, 3])
def test_features_are_the_maps_alone(rows: int) -> None:
    net = DCGAN32MinibatchDiscriminator(width=4, channels=1, kernels=8)
    assert net.features(torch.randn(rows, 1, 32, 32)).shape == (rows, 4 * 4 * 16)


def test_the_discriminator_may_answer_with_several_logits() -> None:
    net = DCGAN32MinibatchDiscriminator(width=4, channels=1, kernels=8, outputs=5)
    assert net(torch.randn(3, 1, 32, 32)).shape == (3, 5)
