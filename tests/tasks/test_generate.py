import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from service.nets.latents import choose
from service.nets.registry import build_net
from service.settings import Settings
from service.store import ImageOutput, Manifest, Model, PointsOutput
from service.tasks.generate import Generate, choosing, interpolated, latents, slerp

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


@given(
    seed=SEEDS,
    start=st.integers(0, 10**9),
    count=st.integers(1, 20),
    dimension=st.integers(1, 40),
    steps=st.integers(2, 9),
)
def test_row_i_of_the_paths_is_the_same_wherever_the_drawing_begins(
    seed: int, start: int, count: int, dimension: int, steps: int
) -> None:
    rows = interpolated(seed, start, count, dimension, steps)
    assert rows.shape == (count, dimension)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    for place in range(count):
        assert interpolated(seed, start + place, 1, dimension, steps).tobytes() == rows[place].tobytes()


def test_a_path_leads_from_one_latent_of_the_seed_to_the_next() -> None:
    paths = interpolated(3, 0, 4 * 7, 100, 7).reshape(4, 7, 100)
    ends = latents(3, 0, 8, 100).reshape(4, 2, 100)
    assert paths[:, [0, -1]].tobytes() == ends.tobytes()


def test_a_path_stays_on_the_sphere_and_turns_evenly() -> None:
    ends = latents(3, 0, 2, 100).astype(np.float64)
    ends *= 10 / np.linalg.norm(ends, axis=1, keepdims=True)
    share = np.linspace(0, 1, 9)
    begin, end = (np.repeat(one[None], 9, axis=0).astype(np.float32) for one in ends)
    path = slerp(begin, end, share).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 10, rtol=1e-6)
    turns = np.arccos((path[1:] * path[:-1]).sum(axis=1) / 100)
    np.testing.assert_allclose(turns, np.arccos(ends[0] @ ends[1] / 100) / 8, rtol=1e-4)


def test_the_length_of_a_path_goes_evenly_from_one_to_the_other() -> None:
    path = slerp(np.array([[2, 0]] * 3, np.float32), np.array([[0, 4]] * 3, np.float32), np.array([0, 0.5, 1]))
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), [2, 3, 4], rtol=1e-6)
    assert path[1, 0] == path[1, 1]


def test_ends_on_one_line_are_joined_by_it() -> None:
    begin, end = np.array([[1, 1], [1, 0]], np.float32), np.array([[3, 3], [-1, 0]], np.float32)
    middle = np.array([[2.0, 2.0], [0.5, 0.0]])
    np.testing.assert_allclose(slerp(begin, end, np.array([0.5, 0.25])), middle)


def test_every_generator_of_several_can_be_chosen() -> None:
    for generators in range(2, 33):
        z = torch.tensor([[0.0, choosing(generator, generators)] for generator in range(generators)])
        assert choose(z, generators).tolist() == list(range(generators))


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


def test_points_are_the_numbers_of_the_net() -> None:
    points = Manifest(
        net="still",
        task="generate",
        chapter=0,
        paper="",
        summary="",
        dataset="",
        points=PointsOutput(latent=3, modes=((0.0, 1.0),), deviation=0.1),
    )
    [found] = Generate().forward(Still(torch.tensor([-7.5, 300.0])), [torch.zeros(2, 3)], points)
    assert found.tolist() == [[-7.5, 300.0], [-7.5, 300.0]]
    assert Generate().example(points, 2) == [((2, 3), "float32")]


def test_colours_stand_last() -> None:
    picture = torch.full((3, 4, 4), -1.0)
    picture[1] = 1.0
    [pixels] = Generate().forward(Still(picture), [torch.zeros(2, 3)], manifest(1))
    assert pixels.shape == (2, 2, 2, 3)
    assert pixels[0, 0, 0].tolist() == [0, 255, 0]


GENERATORS = [
    model
    for written in sorted(Settings().shipped_models_dir.glob("*/model.toml"))
    if (model := Model(written.parent)).manifest.task == "generate"
]


@torch.inference_mode()
@pytest.mark.parametrize("model", GENERATORS, ids=lambda model: model.id)
def test_every_manifest_says_what_its_net_draws(model: Model) -> None:
    net = build_net(model.manifest.net, model.manifest.options).eval()
    [drawn] = Generate().forward(net, [torch.zeros(2, model.manifest.latent)], model.manifest)
    row = (2,) if model.manifest.points else (*model.output.size, model.output.channels)
    assert tuple(drawn.shape) == (2, *row)
    assert getattr(net, "generators", 1) == model.manifest.generators
