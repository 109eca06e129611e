import copy

import pytest
import torch
from torch import Tensor, nn

from service.nets.folding import fold
from service.nets.registry import build_net


def settled(net: nn.Module, x: Tensor) -> nn.Module:
    """A net whose batch normalisation has statistics of its own, ready to infer."""
    net.train()(x)
    return net.eval().requires_grad_(False)  # noqa: FBT003


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dcgan32-generator", {"latent": 16, "width": 4, "channels": 3}),
        ("dcgan32-generators", {"latent": 17, "width": 4, "channels": 1}),
    ],
)
def test_a_folded_generator_draws_the_same_but_for_rounding(name: str, options: dict[str, int]) -> None:
    z = torch.randn(32, options["latent"], generator=torch.Generator().manual_seed(0))
    net = settled(build_net(name, options), z)
    folded = copy.deepcopy(net)
    fold(folded)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(z), net(z), rtol=0, atol=1e-5)  # single precision's rounding, some layers deep


@torch.inference_mode()
def test_a_convolution_with_a_bias_keeps_what_it_says() -> None:
    x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    net = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)), x)
    folded = copy.deepcopy(net)
    fold(folded)
    assert [type(layer) for layer in folded.children()] == [nn.Conv2d, nn.Identity, nn.ReLU, nn.BatchNorm2d]
    torch.testing.assert_close(folded(x), net(x), rtol=0, atol=1e-5)
    assert torch.equal(folded(x), folded(x.clone()))
