import numpy as np
import pytest
import torch

from service.store import ImageInput
from service.tasks.classify import normalise
from service.training.augmentation import Augmentation, Augmenter, Colours, cut, draw_windows, hide

SPEC = ImageInput(size=(8, 8), channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
PIXELS = np.random.default_rng(0).integers(1, 256, (16, 8, 8, 3), dtype=np.uint8)
IMAGES = torch.from_numpy(PIXELS)


def augmenter(**wanted: object) -> Augmenter:
    return Augmenter(Augmentation.model_validate(wanted), PIXELS, SPEC)


def test_without_wishes_images_are_only_normalised() -> None:
    assert torch.equal(augmenter()(IMAGES), normalise(IMAGES, SPEC))


def test_every_window_lies_in_the_image_and_its_border() -> None:
    framed = torch.zeros(16, 12, 12, 3, dtype=torch.uint8)
    framed[:, 2:10, 2:10] = IMAGES
    places = set()
    for image, window in zip(framed, cut(IMAGES, border=2, flip=False), strict=True):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(image[top : top + 8, left : left + 8], window)
        ]
        assert found
        places.add(found[0])
    assert len(places) > 5


def test_half_of_the_images_are_mirrored() -> None:
    images = IMAGES.repeat(16, 1, 1, 1)
    mirrored = [
        torch.equal(after, before.flip(1))
        for before, after in zip(images, cut(images, border=0, flip=True), strict=True)
    ]
    kept = [torch.equal(after, before) for before, after in zip(images, cut(images, border=0, flip=True), strict=True)]
    assert 80 < sum(mirrored) < 176  # of 256
    assert 80 < sum(kept) < 176


def test_a_scaled_image_shows_a_window_of_the_first_one() -> None:
    maps = draw_windows(1000, 1.0, 2.0)
    assert (maps[:, 0, 0] == maps[:, 1, 1]).all()
    assert maps[:, 0, 0].min() >= 0.5
    assert maps[:, 0, 0].max() <= 1.0
    reach = maps[:, :, 2].abs() + maps[:, :1, 0]
    assert reach.max() <= 1 + 1e-6
    assert augmenter(scale=(1.0, 1.0))(IMAGES).sub(normalise(IMAGES, SPEC)).abs().max() < 1e-4


def test_the_square_is_of_the_mean_colour_and_its_size() -> None:
    x = torch.ones(200, 3, 8, 8)
    hidden = hide(x, 3) == 0
    assert (hidden.all(dim=1) == hidden.any(dim=1)).all()
    areas = hidden[:, 0].sum(dim=(1, 2))
    assert areas.max() == 9
    assert areas.min() >= 4  # in a corner
    assert (x == 1).all()


def test_colour_noise_follows_the_principal_components() -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8).reshape(1, 8, 8, 1), 3, axis=3)
    variances, components = Colours.of(ramp)
    assert variances[:2].abs().max() < 1e-6
    assert components[:, 2].abs().tolist() == pytest.approx([3**-0.5] * 3)
    grey = Augmenter(Augmentation(colour=0.1), ramp, SPEC)
    images = torch.from_numpy(ramp).repeat(500, 1, 1, 1)
    shift = (grey(images) - normalise(images, SPEC)) * torch.tensor(SPEC.std)[:, None, None]
    assert shift.std(dim=(2, 3)).max() < 1e-5
    each = shift[:, :, 0, 0]
    assert (each - each[:, :1]).abs().max() < 1e-5
    assert each[:, 0].std().item() == pytest.approx(0.1 * variances[2].item() * 3**-0.5, rel=0.15)


def test_a_seed_means_the_same_whatever_was_drawn_elsewhere() -> None:
    alter = augmenter(crop=2, flip=True, scale=(0.8, 1.2), colour=0.1, cutout=3)
    torch.manual_seed(5)
    first = alter(IMAGES)
    torch.manual_seed(5)
    assert torch.equal(alter(IMAGES), first)
    assert first.shape == (16, 3, 8, 8)
    assert not torch.equal(alter(IMAGES), first)
