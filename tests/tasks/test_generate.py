import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from service.store import ImageOutput, Manifest
from service.tasks.generate import Generate, latents

SEEDS = st.integers(0, 2**63 - 1)


@given(seed=SEEDS, start=st.integers(0, 10**12), count=st.integers(1, 20), dimension=st.integers(1, 130))
def test_row_i_of_a_seed_is_the_same_wherever_the_drawing_begins(
    seed: int, start: int, count: int, dimension: int
) -> None:
    rows = latents(seed, start, count, dimension)
    assert rows.shape == (count, dimension)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    for place in range(count):
        assert latents(seed, start + place, 1, dimension).tobytes() == rows[place].tobytes()


@given(seed=SEEDS)
def test_different_seeds_and_rows_are_different(seed: int) -> None:
    rows = latents(seed, 0, 10, 100)
    assert len({row.tobytes() for row in rows}) == 10
    assert latents(seed ^ 1, 0, 10, 100).tobytes() != rows.tobytes()


def test_the_draws_are_those_of_a_normal_distribution() -> None:
    draws = latents(1, 0, 4000, 100).astype(np.float64)
    # 400,000 draws: five standard errors
    assert abs(draws.mean()) < 5 / np.sqrt(draws.size)
    assert abs(draws.var() - 1) < 5 * np.sqrt(2 / draws.size)
    assert abs((draws**4).mean() - 3) < 5 * np.sqrt(96 / draws.size)
    correlation = np.corrcoef(draws, rowvar=False) - np.eye(100)
    assert abs(correlation).max() < 6 / np.sqrt(len(draws))


def test_the_draws_of_a_seed_never_change() -> None:
    # recorded; the logarithm and the cosine of another libm may differ in the last digit
    np.testing.assert_allclose(latents(42, 5, 1, 4)[0], [-0.1309136, -0.7217804, -0.22285396, 0.9798391], rtol=1e-6)


class Still(nn.Module):
    """Gives the same picture for every latent."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, z: Tensor) -> Tensor:
        return self.picture.expand(len(z), *self.picture.shape)


def manifest(crop: int) -> Manifest:
    size = 4 - 2 * crop
    return Manifest(
        net="still",
        task="generate",
        chapter=0,
        paper="",
        summary="",
        dataset="",
        output=ImageOutput(size=(size, size), channels=1, latent=3, crop=crop),
    )


def test_minus_one_to_one_becomes_0_to_255_and_what_lies_outside_is_clipped() -> None:
    picture = torch.linspace(-1, 1, 16).view(1, 4, 4)
    picture[0, 0, 1], picture[0, 3, 2] = -3.0, 3.0
    [pixels] = Generate().forward(Still(picture), [torch.zeros(2, 3)], manifest(0))
    assert pixels.shape == (2, 4, 4, 1)
    assert pixels.dtype == torch.uint8
    assert pixels[0, 0, :, 0].tolist() == [0, 0, 34, 51]
    assert pixels[0, 3, :, 0].tolist() == [204, 221, 255, 255]


def test_the_border_is_cropped() -> None:
    picture = torch.full((1, 4, 4), -1.0)
    picture[:, 1:3, 1:3] = 1.0
    [pixels] = Generate().forward(Still(picture), [torch.zeros(1, 3)], manifest(1))
    assert pixels.shape == (1, 2, 2, 1)
    assert (pixels == 255).all()
