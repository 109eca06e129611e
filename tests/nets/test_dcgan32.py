import pytest
import torch

from service.nets.dcgan32 import DCGAN32Discriminator, DCGAN32Generator
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
