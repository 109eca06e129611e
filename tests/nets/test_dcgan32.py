import pytest
import torch

from service.nets.dcgan32 import DCGAN32Discriminator, DCGAN32Generator
from service.nets.latents import Prior, shape_latents
from service.nets.layers import count_macs, count_parameters


@pytest.mark.parametrize(
    ("width", "channels", "generator", "discriminator"),
    [
        (32, 3, 370_627, 167_841),
        (64, 3, 1_068_931, 663_361),
        (64, 1, 1_066_881, 661_313),
        (128, 3, 3_448_579, 2_637_441),
    ],
)
def test_dcgan32_has_the_known_counts(width: int, channels: int, generator: int, discriminator: int) -> None:
    assert count_parameters(DCGAN32Generator(width=width, channels=channels)) == generator
    assert count_parameters(DCGAN32Discriminator(width=width, channels=channels)) == discriminator


def test_the_generator_of_width_64_multiplies_18_million_times() -> None:
    assert count_macs(DCGAN32Generator(width=64), torch.zeros(1, 100)) == 17_973_248


def test_the_generator_paints_images_between_minus_one_and_one() -> None:
    net = DCGAN32Generator(latent=7, width=4, channels=1)
    images = net(torch.randn(5, 7))
    assert images.shape == (5, 1, 32, 32)
    assert images.abs().max() <= 1


def test_the_discriminator_gives_one_unbounded_number_an_image() -> None:
    net = DCGAN32Discriminator(width=4, channels=1)
    with torch.no_grad():
        net.judge.weight.fill_(1.0)
    logits = net(torch.randn(5, 1, 32, 32))
    assert logits.shape == (5,)
    assert logits.abs().max() > 1


def test_weights_are_drawn_as_dcgan_says() -> None:
    net = DCGAN32Generator()
    assert net.get_parameter("body.0.weight").std().item() == pytest.approx(0.02, rel=0.02)
    assert net.get_parameter("body.1.weight").mean().item() == pytest.approx(1.0, abs=0.01)


def test_images_are_the_scaled_tangent_of_what_is_painted() -> None:
    net = DCGAN32Generator(latent=7, width=4, channels=1).eval()
    z = torch.randn(3, 7)
    torch.testing.assert_close(net(z), net.paint(net.features(z)).tanh())
    with torch.no_grad():
        net.paint.weight.mul_(100)
    assert (net(z).abs() < 1).any()
    torch.testing.assert_close(net(z).atanh()[net(z).abs() < 0.9], net.paint(net.features(z))[net(z).abs() < 0.9])


@pytest.mark.parametrize("prior", ["uniform", "sphere"])
def test_a_generator_shapes_its_latents_by_its_prior(prior: Prior) -> None:
    shaped = DCGAN32Generator(latent=7, width=4, channels=1, prior=prior).eval()
    plain = DCGAN32Generator(latent=7, width=4, channels=1).eval()
    plain.load_state_dict(shaped.state_dict())
    z = torch.randn(3, 7)
    torch.testing.assert_close(shaped(z), plain(shape_latents(z, prior)))
    assert not torch.allclose(shaped(z), plain(z))


def test_a_discriminators_layer_is_normalised_over_all_its_maps() -> None:
    net = DCGAN32Discriminator(width=4, channels=1, normalisation="layer")
    scales = torch.tensor([100.0, 300.0, 900.0]).view(3, 1, 1, 1)
    maps = net.body[:4](scales * torch.randn(3, 1, 32, 32))  # (3, 8, 8, 8)
    torch.testing.assert_close(maps.flatten(1).mean(dim=1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.flatten(1).var(dim=1, correction=0), torch.ones(3), atol=0.01, rtol=0)
    assert maps.mean(dim=(2, 3)).abs().max() > 0.01  # not each map for itself


def test_scales_begin_near_one_and_biases_at_nothing() -> None:
    net = DCGAN32Generator(width=128)
    assert net.get_parameter("body.1.weight").std().item() == pytest.approx(0.02, rel=0.15)
    assert net.get_parameter("body.1.bias").abs().max() == 0
    assert net.paint.bias is not None
    assert net.paint.bias.abs().max() == 0
