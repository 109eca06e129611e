import torch

from service.nets.layers import count_parameters
from service.nets.several import DCGAN32Generators


def latents(last: float, rows: int = 3) -> torch.Tensor:
    z = torch.randn(rows, 7)
    z[:, -1] = last
    return z


def net() -> DCGAN32Generators:
    return DCGAN32Generators(latent=7, width=4, channels=1, generators=3).eval()


def test_the_last_number_only_chooses_who_paints() -> None:
    generators, z = net(), latents(-2.0)
    near, far = z.clone(), z.clone()
    near[:, -1], far[:, -1] = -1.5, 2.0
    assert torch.equal(generators(z), generators(near))
    assert not torch.equal(generators(z), generators(far))


def test_each_generator_has_last_layers_of_its_own_behind_one_trunk() -> None:
    generators = net()
    generators.paint.weight.grad = None
    generators(latents(0.0)).sum().backward()
    own, painted = generators.get_parameter("own.0.weight").grad, generators.paint.weight.grad
    assert own is not None
    assert painted is not None
    touched = own.abs().sum(dim=(0, 2, 3)).view(3, 4).sum(dim=1) > 0
    assert touched.tolist() == [False, True, False]
    assert (painted.abs().sum(dim=(1, 2, 3)).view(3, 4).sum(dim=1) > 0).tolist() == [False, True, False]
    assert generators.get_parameter("trunk.0.weight").grad is not None


def test_the_trunk_is_counted_once() -> None:
    one, two = (count_parameters(DCGAN32Generators(width=8, channels=1, generators=many)) for many in (1, 2))
    assert two - one == 16 * 8 * 16 + 2 * 8 + 8 * 16
