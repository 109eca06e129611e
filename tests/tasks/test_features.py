import numpy as np
import pytest
import torch

from service.nets.pixels import Pixels
from service.nets.registry import build_net
from service.resampling import RESAMPLINGS, resample
from service.settings import Settings
from service.store import ImageInput, Manifest, Model
from service.tasks.classify import normalise
from service.tasks.features import Features, FeaturesAtAnySize, resampled

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 20, 11, 3), dtype=np.uint8)


def manifest_of(model_id: str) -> Manifest:
    return Model(Settings().shipped_models_dir / model_id).manifest


@torch.inference_mode()
def test_of_maps_their_means_are_the_features() -> None:
    manifest = manifest_of("nin-cifar10")
    assert manifest.input is not None
    net = build_net(manifest.net, manifest.options).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    features, probabilities = Features().forward(net, [images], manifest)
    maps = net.features(normalise(images, manifest.input))  # type: ignore[operator]
    assert maps.ndim == 4
    torch.testing.assert_close(features, maps.mean(dim=(2, 3)))
    torch.testing.assert_close(probabilities, net(normalise(images, manifest.input)).softmax(dim=1))


@torch.inference_mode()
def test_of_a_vector_it_is_the_features() -> None:
    manifest = manifest_of("lenet5-mnist")
    net = build_net(manifest.net, manifest.options).eval()
    features, probabilities = Features().forward(net, [torch.zeros(2, 28, 28, 1, dtype=torch.uint8)], manifest)
    assert (features.shape, probabilities.shape) == ((2, 84), (2, 10))


@pytest.mark.parametrize("name", RESAMPLINGS)
@pytest.mark.parametrize("size", [(29, 31), (7, 5), (20, 11)])
def test_a_device_resamples_as_the_reader_does(name: str, size: tuple[int, int]) -> None:
    spec = ImageInput.model_validate(
        {"size": size, "channels": 3, "mean": (0, 0, 0), "std": (1, 1, 1), "resample": name}
    )
    found = resampled(torch.from_numpy(PICTURES), spec).numpy()
    expected = np.stack([resample(picture, name, size) for picture in PICTURES])
    np.testing.assert_allclose(found, expected, atol=2e-4)


@torch.inference_mode()
def test_pixels_are_row_by_row_with_their_channels_side_by_side() -> None:
    manifest = manifest_of("pixels")
    assert not Features().serves(manifest)
    features, classes = FeaturesAtAnySize().forward(Pixels(), [torch.from_numpy(PICTURES)], manifest)
    torch.testing.assert_close(features, torch.from_numpy(PICTURES.reshape(3, -1) / np.float32(255)))
    assert classes.shape == (3, 0)


def test_what_is_fitted_in_whole_pixels_comes_in_one_size_only() -> None:
    manifest = manifest_of("nin-cifar10")
    assert Features().serves(manifest)
    assert Features().example(manifest, 2) == [((2, 32, 32, 3), "uint8")]
    assert not FeaturesAtAnySize().serves(manifest)
    assert Features().example(manifest_of("inception-v3-fid"), 2) == [((2, 299, 299, 3), "float32")]
