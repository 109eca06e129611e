import pytest
import torch

from service.errors import InvalidManifest
from service.nets.dcgan32 import DCGAN32Generator
from service.nets.latents import LatentDropout, Prior, choose, shape_latents

Z = torch.randn(4000, 20)


def test_a_normal_prior_is_what_is_given() -> None:
    assert shape_latents(Z, "normal") is Z


def test_a_uniform_prior_is_uniform_between_minus_one_and_one() -> None:
    u = shape_latents(Z, "uniform")
    counts = torch.histc(u, bins=10, min=-1, max=1) / u.numel()
    torch.testing.assert_close(counts, torch.full((10,), 0.1), atol=0.01, rtol=0)
    assert u.abs().max() <= 1
    assert torch.equal(u.argsort(dim=1), Z.argsort(dim=1))


def test_a_spherical_prior_has_one_length_and_the_same_direction() -> None:
    on_sphere = shape_latents(Z, "sphere")
    torch.testing.assert_close(on_sphere.norm(dim=1), torch.full((4000,), 20**0.5))
    torch.testing.assert_close(torch.cosine_similarity(on_sphere, Z), torch.ones(4000))
    assert shape_latents(torch.zeros(1, 3), "sphere").isfinite().all()


def test_an_unknown_prior_is_answered_with_the_known_ones() -> None:
    unknown: Prior = "cauchy"  # type: ignore[assignment]
    with pytest.raises(InvalidManifest, match="normal, sphere and uniform"):
        shape_latents(Z, unknown)


def test_the_last_number_chooses_and_all_choices_are_equally_likely() -> None:
    chosen = choose(Z, 4)
    shares = torch.bincount(chosen, minlength=4) / len(chosen)
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.04, rtol=0)
    edges = torch.tensor([[0.0, -9.0], [0.0, -0.7], [0.0, -0.1], [0.0, 0.1], [0.0, 0.7], [0.0, 60.0]])
    assert choose(edges, 4).tolist() == [0, 0, 1, 2, 3, 3]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_the_maps_is_dropped_and_the_sum_stays(share: float) -> None:
    dropped = LatentDropout(20, 30, share=share)(torch.ones(4000, 30, 2, 2), Z)
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(dropped[:, :, 0, 0], dropped[:, :, 1, 1])


def test_a_generator_with_dropout_drops_when_it_serves_too_and_paints_a_latent_always_alike() -> None:
    net = DCGAN32Generator(latent=6, width=16, channels=1, dropout=0.5).eval()
    z = torch.randn(5, 6)
    assert torch.equal(net(z), net(z))
    silent = (net.features(z).amax(dim=(2, 3)) == 0).float()
    assert 0 < silent.mean() < 1
    assert not torch.equal(silent[0], silent[1])
